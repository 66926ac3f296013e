"""The rolling plan: one linear program, kept in the solver and solved again as the world changes.

The optimum of the program is the plan where it does not do two things at once. Where it does (only negative
prices, or an export price above the import price, make that pay), the net direction is fixed in these
intervals and the program solved again; when that plan is not known to be the best, `exact.search` decides.
"""

from __future__ import annotations

import numpy as np

from ores.ems.answer import Plan, Violation
from ores.ems.appliances import Run
from ores.ems.branch import GAP, SEEN, Family, settle
from ores.ems.cars import Car
from ores.ems.charges import Peak, Tier
from ores.ems.heating import Warmth
from ores.ems.inputs import Battery, Ev, Floats, Home, InputError, spread
from ores.ems.parts import Connection, Store
from ores.ems.sheet import Matrix, Numbers, Sheet
from ores.ems.solver import Optimum, Solver, SolverError
from ores.ems.weights import dearest

Key = tuple[object, ...]


class Planner:
    """Plans one home, again and again.

    A plan depends on what it is made from only; what is kept from the one before makes it faster.

    Args:
        presolve: Whether the solver first looks for a smaller program: faster for a year, slower for a day.
        gap: Where decisions are to be made, a plan this close to the best, as a share of its objective, is
            taken: 0.001 is much faster than the default where a compressor has a least power.
    """

    def __init__(self, *, presolve: bool = False, gap: float = GAP) -> None:
        self._kept: _Model | None = None
        self._presolve = presolve
        self._gap = gap

    def plan(self, home: Home, *, elapsed: int = 0) -> Plan:
        """The cheapest plan.

        Args:
            home: All that counts.
            elapsed: By how many intervals the terms begin later than those of the last plan; only a hint.

        Raises:
            InputError: Names the field, what was found and what is allowed.
        """
        check_terms(home)
        key = key_of(home)
        kept = self._kept
        if kept is None or kept.key != key:
            kept = _Model(home, key, kept, presolve=self._presolve)
        plan = kept.plan(home, elapsed, self._gap)
        self._kept = kept
        return plan

    def program(self) -> tuple[Matrix, Numbers]:
        """The linear program of the last plan, for measurements beside the solver alone.

        Raises:
            LookupError: Nothing has been planned.
        """
        if self._kept is None:
            raise LookupError("nothing has been planned yet")
        return self._kept.matrix, self._kept.planned


def check_terms(home: Home) -> None:
    """Prices and lengths that a plan can be made from.

    Raises:
        InputError: They are not.
    """
    terms = home.terms
    count = len(terms.hours)
    if count == 0:
        raise InputError("terms.hours", "empty", "at least one interval")
    if terms.days:  # to leave such a charge out would be a plan for another tariff
        raise InputError("terms.days", f"{len(terms.days)} charges on the highest days", "none, so far")
    spread(terms.hours, count, "terms.hours", 1e-6, 1e6)
    spread(terms.import_per_kwh, count, "terms.import_per_kwh")
    spread(terms.export_per_kwh, count, "terms.export_per_kwh")


def sunk(home: Home) -> float:
    """What the peaks so far cost, whatever is planned; >= 0."""
    return sum(peak.price_per_kw * peak.so_far_kw for peak in home.terms.peaks)


def key_of(home: Home) -> Key:
    """What stands in the matrix: where it changes, the model is built anew."""
    terms = home.terms
    batteries = tuple((b.charge_efficiency, b.discharge_efficiency) for b in home.batteries)
    peaks = tuple((peak.block.tobytes(), peak.begun_hours) for peak in terms.peaks)
    evs = tuple((e.charge_efficiency, e.discharge_efficiency) for e in home.evs)
    runs = tuple((np.asarray(a.profile_kw).tobytes(), a.step_h) for a in home.appliances)
    heats = tuple((h.capacity_kwh_per_k, h.loss_kw_per_k, np.asarray(h.cop).tobytes()) for h in home.heats)
    lengths = terms.hours.tobytes() if peaks or runs or heats else b""  # they are in the matrix only there
    tiers = tuple(tier.counts.tobytes() for tier in terms.tiers)
    return (len(terms.hours), lengths, batteries, evs, runs, heats, peaks, tiers)


class _Model:
    """The program of a home in the solver."""

    def __init__(self, home: Home, key: Key, before: _Model | None, *, presolve: bool) -> None:
        self.key = key
        self.count = len(home.terms.hours)
        self.sheet = Sheet()
        self.connection = Connection(self.sheet, self.count)
        self.stores = [
            Store(self.sheet, self.connection.balance, battery, f"batteries[{number}]")
            for number, battery in enumerate(home.batteries)
        ]
        terms = home.terms
        self.peaks = [
            Peak(self.sheet, self.connection, term, terms.hours, f"terms.peaks[{number}]")
            for number, term in enumerate(terms.peaks)
        ]
        self.tiers = [
            Tier(self.sheet, self.connection, term, f"terms.tiers[{number}]")
            for number, term in enumerate(terms.tiers)
        ]
        balance = self.connection.balance
        self.cars = [Car(self.sheet, balance, ev, f"evs[{n}]") for n, ev in enumerate(home.evs)]
        self.runs = [
            Run(self.sheet, balance, appliance, terms.hours, f"appliances[{n}]")
            for n, appliance in enumerate(home.appliances)
        ]
        self.warmths = [
            Warmth(self.sheet, balance, heat, terms.hours, f"heats[{n}]") for n, heat in enumerate(home.heats)
        ]
        self.matrix = self.sheet.matrix()
        self.families: list[Family] = [
            *self.runs,
            *(warmth.semi for warmth in self.warmths),
            *(car.semi for car in self.cars),
            *(store.sides for store in self.stores),
            *(car.store.sides for car in self.cars),
            *(tier.sides for tier in self.tiers),
            self.connection.sides,
        ]
        self.solver = Solver(presolve=presolve)
        self.planned = self.sheet.numbers()
        self.before = before
        self.loaded = False

    def fill(self, home: Home, unit: float) -> Numbers:
        """Bounds and costs for this plan."""
        numbers = self.sheet.numbers()
        hours = home.terms.hours
        consumed, produced = np.zeros(self.count), np.zeros(self.count)
        for store, battery in zip(self.stores, home.batteries, strict=True):
            charge, discharge = store.fill(battery, hours, numbers, unit)
            consumed += charge
            produced += discharge
        for car, ev in zip(self.cars, home.evs, strict=True):
            charge, discharge = car.fill(ev, hours, numbers, unit)
            consumed += charge
            produced += discharge
        for run, appliance in zip(self.runs, home.appliances, strict=True):
            consumed += run.fill(appliance, numbers)
        for warmth, heat in zip(self.warmths, home.heats, strict=True):
            consumed += warmth.fill(heat, hours, numbers, unit)
        self.connection.fill(home, numbers, unit, consumed, produced)
        for peak, peak_term in zip(self.peaks, home.terms.peaks, strict=True):
            peak.fill(peak_term, numbers, unit)
        for tier, tier_term in zip(self.tiers, home.terms.tiers, strict=True):
            tier.fill(tier_term, numbers, unit)
        return numbers

    def plan(self, home: Home, elapsed: int, gap: float) -> Plan:
        """Fill in, solve, decide what cannot be both, and read."""
        unit = dearest(home)
        numbers = self.fill(home, unit)
        if not self.loaded:
            self.solver.load(self.matrix, numbers)
            if self.before is not None and self.before.count == self.count:
                self.solver.follow(self.before.solver, self.before.sheet, self.sheet, self.count, elapsed)
            else:
                self.begin_idle(numbers)
            self.before = None
            self.loaded = True
        else:
            if elapsed > 0:
                self.solver.follow(self.solver, self.sheet, self.sheet, self.count, elapsed)
            self.solver.change(numbers)
        if not self.solver.solve():
            raise SolverError("a plan that is always possible was not found")
        found, bound = settle(self.solver, self.matrix, self.families, gap=gap, sunk=sunk(home) / unit)
        self.planned = found.numbers
        return self.read(home, unit, found, bound)

    def begin_idle(self, numbers: Numbers) -> None:
        """Begin where the sun is kept, the rest is bought or sold, and all stores stay as they are."""
        stores = [*self.stores, *(car.store for car in self.cars)]
        link = self.connection
        self.solver.begin(
            np.concatenate([link.balance, *(store.rows for store in stores)]),
            np.concatenate([link.idle(numbers), *(store.stored for store in stores)]),
            link.given,
        )

    def read(self, home: Home, unit: float, found: Optimum, bound: float) -> Plan:
        """The plan that the values mean."""
        terms, link = home.terms, self.connection
        values, duals, objective = found.values, found.duals, found.objective
        hours = terms.hours
        grid = values[link.bought] + values[link.bought_beyond] - values[link.sold] - values[link.sold_beyond]
        bought = np.maximum(grid, 0.0)
        shape = (len(self.stores), self.count)
        cars = [car.store for car in self.cars]
        return Plan(
            hours=hours,
            grid_kw=grid / hours,
            pv_kept_kw=(values[link.given] + link.load) / hours,
            battery_kw=np.array([s.power(values, hours) for s in self.stores]).reshape(shape),
            soc_pct=np.array([s.soc_pct(values) for s in self.stores]).reshape(shape),
            energy_value_per_kwh=duals[link.balance] * unit,
            stored_value_per_kwh=np.array([-duals[s.rows] * unit for s in self.stores]).reshape(shape),
            ev_kw=np.array([s.power(values, hours) for s in cars]).reshape(len(cars), self.count),
            ev_soc_pct=np.array([s.soc_pct(values) for s in cars]).reshape(len(cars), self.count),
            ev_stored_value_per_kwh=np.array([-duals[s.rows] * unit for s in cars]).reshape(
                len(cars), self.count
            ),
            appliance_start=tuple(run.started(values) for run in self.runs),
            appliance_kw=np.array([run.power(values, hours) for run in self.runs]).reshape(
                len(self.runs), self.count
            ),
            heat_kw=np.array([values[w.used] / hours for w in self.warmths]).reshape(
                len(self.warmths), self.count
            ),
            temperature_c=np.array([w.temperature(values) for w in self.warmths]).reshape(
                len(self.warmths), self.count
            ),
            interval_cost=np.where(grid > 0.0, terms.import_per_kwh, terms.export_per_kwh) * grid,
            peak_cost=sum(peak.cost(bought) for peak in self.peaks),
            tier_cost=sum(tier.cost(bought) for tier in self.tiers),
            wear_cost=sum(
                thing.wear_per_kwh * float(values[store.discharged].sum())
                for store, thing in self.stored(home)
            ),
            end_value=self.end_value(home, values),
            objective=objective * unit - sunk(home),
            gap=max(0.0, objective - bound) * unit,
            violations=tuple(self.violations(hours, values)),
        )

    def end_value(self, home: Home, values: Floats) -> float:
        """What is left after the last interval."""
        value = sum(
            thing.end_value_per_kwh * float(store.energy(values)[-1]) for store, thing in self.stored(home)
        )
        for warmth, heat in zip(self.warmths, home.heats, strict=True):
            value += heat.end_value_per_k * float(warmth.temperature(values)[-1])
        return value

    def stored(self, home: Home) -> list[tuple[Store, Battery | Ev]]:
        """All that stores electricity, with what it stands for."""
        return [
            *zip(self.stores, home.batteries, strict=True),
            *zip((car.store for car in self.cars), home.evs, strict=True),
        ]

    def violations(self, hours: Floats, values: Floats) -> list[Violation]:
        """The limits that were left."""
        link = self.connection
        told = [
            ("import_max_kw", values[link.bought_beyond], 1.0 / hours),
            ("export_max_kw", values[link.sold_beyond], 1.0 / hours),
        ]
        for store in self.stores:
            told += store.violations(values, "reserve_pct")
        for car in self.cars:
            told += car.store.violations(values, "target_pct")
            told.append((f"{car.name}.driven_kwh", values[car.missing], np.ones(self.count)))
        for warmth in self.warmths:
            told.append((f"{warmth.name}.comfort_min_c", values[warmth.cold], np.ones(self.count)))
            told.append((f"{warmth.name}.comfort_max_c", values[warmth.hot], np.ones(self.count)))
        for run in self.runs:
            skipped = np.full(self.count, float(values[run.skipped[0]]))
            told.append((run.name, skipped, np.ones(self.count)))
        return [
            Violation(name, np.where(beyond > SEEN, beyond * scale, 0.0))
            for name, beyond, scale in told
            if beyond.max() > SEEN
        ]
