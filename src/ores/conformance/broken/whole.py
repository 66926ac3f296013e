"""The reference module of the kit's self-test: every capability, in one house that follows at once.

It is no simulation of a home: powers are what they are told to be, so that a check meets no surprise but
the one that was built in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from msgspec import UNSET

from ores import model
from ores.conformance.broken import flexible
from ores.conformance.broken.appliance import Appliance
from ores.link.clock import Clock
from ores.module import About, Effective, Refused, element

VOLTAGE_V: Final = 230.0
CAPACITY_WH: Final = 10_000.0
BATTERY_MAX_W: Final = 4000.0
STEP_W: Final = 10.0
SUN_W: Final = 1800.0
EVSE_MAX_A: Final = 16.0
PLUG_W: Final = 60.0
CIRCUITS: Final = 12
HOLD_S: Final = 3.0
RECONNECT_S: Final = 1.0
BACKUP_LOAD_W: Final = 120.0
EVSE_MIN_A: Final = 6.0
NEWS_S: Final = 0.05
"""From a command until it says what has come of it."""
DEPARTURE_S: Final = 30_000.0
"""When the vehicle leaves, from the beginning."""
NIGHT_S: Final = 40_000.0
"""Until the washer's people allow it to run, and about as long again until it has to be done."""
APPLIANCE_W: Final = 1500.0
THERMAL: Final = model.Thermal(temperature_c=21.0, outdoor_temperature_c=4.0)

ABOUT: Final = About(
    name="Reference",
    maker="ORES",
    model="Whole",
    serial="2041-7731",
    profiles=("storage", "micro_inverter", "ev_charger", "heat_pump", "smart_panel", "meter", "appliance"),
)


def elements() -> tuple[model.Element, ...]:
    """What it is made of."""
    watt, energy = model.AcMeasureCapability(accuracy_pct=1), model.EnergyCapability(resolution_wh=1)
    both = model.LimitCapability(consume=True, produce=True)
    return (
        element("mains", "meter", bus="grid", terminals=["L1"], connection="single_phase",
                ac_measure=model.AcMeasureCapability(connection_point=True, accuracy_pct=1), energy=energy),
        element("battery", "battery", bus="grid", terminals=["L1"], connection="single_phase",
                ac_measure=watt, energy=energy, limit=both,
                rating=model.Rating(consume_max_w=BATTERY_MAX_W, produce_max_w=BATTERY_MAX_W),
                setpoint=model.SetpointCapability(
                    consume_max_w=BATTERY_MAX_W, produce_max_w=BATTERY_MAX_W, step_w=STEP_W, response_s=0.5),
                storage=model.StorageCapability(
                    capacity_wh=CAPACITY_WH, charge_efficiency_pct=96, discharge_efficiency_pct=96,
                    reserve_setting=True),
                hazard=model.HazardCapability(inputs=["smoke", "over_temperature"])),
        element("inverter", "inverter", bus="grid", terminals=["L1"], connection="single_phase",
                ac_measure=watt, energy=energy, rating=model.Rating(produce_max_w=2000),
                limit=model.LimitCapability(produce=True), produce=model.ProduceCapability(peak_w=2500),
                grid_code=model.GridCodeCapability(code="EN 50549-1", reconnect_s=60)),
        element("string", "pv", bus="dc", upstream="inverter", connection="dc",
                dc_measure=model.DcMeasureCapability(accuracy_pct=1)),
        element("evse", "evse", bus="grid", terminals=["L1"], connection="single_phase",
                ac_measure=watt, energy=energy,
                rating=model.Rating(consume_max_w=EVSE_MAX_A * VOLTAGE_V, current_max_a=EVSE_MAX_A,
                                    voltage_v=VOLTAGE_V),
                limit=model.LimitCapability(consume=True, current=True),
                ev=model.EvCapability(current_min_a=EVSE_MIN_A, current_max_a=EVSE_MAX_A, step_a=1)),
        element("heat", "heat", bus="grid", terminals=["L1"], connection="single_phase",
                ac_measure=watt, energy=energy, rating=model.Rating(consume_max_w=2000),
                mode=model.ModeCapability(hold_s=HOLD_S, modes={
                    "blocked": model.ModeRange(consume_max_w=20),
                    "normal": model.ModeRange(consume_max_w=600),
                    "forced": model.ModeRange(consume_min_w=1200, consume_max_w=2000)}),
                thermal=model.ThermalCapability(temperature_min_c=19, temperature_max_c=23)),
        element("former", "inverter", bus="backup", terminals=["L1"], connection="single_phase",
                ac_measure=watt, rating=model.Rating(consume_max_w=3000, produce_max_w=3000), limit=both,
                form_grid=model.FormGridCapability(power_max_w=3000, surge_w=5000, surge_s=5)),
        element("tie", "tie", bus="grid",
                isolate=model.IsolateCapability(upstream_bus="grid", downstream_bus="backup")),
        *(
            element(f"circuit_{number}", "circuit", name=f"Circuit {number}", bus="grid", upstream="mains",
                    terminals=["L1"], connection="single_phase", ac_measure=watt, energy=energy,
                    rating=model.Rating(current_max_a=16, voltage_v=VOLTAGE_V),
                    switch=model.SwitchCapability(min_on_s=0, min_off_s=0, critical=number == 1))
            for number in range(1, CIRCUITS + 1)
        ),
        *(
            element(name, "load", bus="grid", terminals=["L1"], connection="single_phase", ac_measure=watt,
                    energy=energy, rating=model.Rating(consume_max_w=2300),
                    job=model.JobCapability(response_s=1))
            for name in ("dishwasher", "washer", "dryer")
        ),
    )  # fmt: skip


def appliances(now_s: float) -> dict[str, Appliance]:
    """One that may be started, one that may not yet, and one that starts by itself again and again."""
    return {
        "dishwasher": Appliance(now_s, power_w=APPLIANCE_W, duration_s=12, latest_in_s=NIGHT_S),
        "washer": Appliance(
            now_s, power_w=APPLIANCE_W, duration_s=60, earliest_in_s=NIGHT_S, latest_in_s=2 * NIGHT_S
        ),
        "dryer": Appliance(now_s, power_w=30, duration_s=6, latest_in_s=16, used_all_day=True),
    }


@dataclass(slots=True)
class Tie:
    """The transfer switch: opened on request, closed by itself after a while with permission."""

    closed: bool = True
    permitted: bool = True
    opened_at_s: float = -inf

    def reconnect_in_s(self, now_s: float) -> float | None:
        """Until it closes by itself; None where it is closed or may not."""
        if self.closed or not self.permitted:
            return None
        return max(0.0, self.opened_at_s + RECONNECT_S - now_s)


@dataclass
class Whole:
    """The device.

    Attributes:
        clock: Process time.
        soc_pct: Of the battery.
        plugged: A vehicle is there and wants all it gets.
    """

    clock: Clock
    soc_pct: float = 55.0
    plugged: bool = True
    elements: Sequence[model.Element] = field(default_factory=elements)
    told: dict[str, Effective] = field(default_factory=dict)
    tie: Tie = field(default_factory=Tie)

    def __post_init__(self) -> None:
        self._at_s = self._began_s = self.clock.now()
        self._tell: Callable[[], None] | None = None
        self.appliances = appliances(self._at_s)
        self._readers: Mapping[str, Callable[[], model.ElementState]] = {
            "battery": self._battery,
            "inverter": self._inverter,
            "string": self._string,
            "evse": self._evse,
            "heat": self._heat,
            "former": self._former,
            "tie": self._read_tie,
            "mains": self._mains,
        }

    def left_s(self, moment_s: float) -> float:
        """From now to a moment that is told from the beginning; 0 where it has passed."""
        return max(0.0, self._began_s + moment_s - self.clock.now())

    # What a maker writes

    def read(self, name: str, /) -> model.ElementState:
        """What is measured now."""
        self._pass_time()
        reader = self._readers.get(name)
        if reader is None and name in self.appliances:
            return self._appliance(self.appliances[name])
        return reader() if reader else self._circuit(name)

    def apply(self, name: str, command: Effective, /) -> None:
        """From now on."""
        self._pass_time()
        self.told[name] = command
        self.clock.call_at(self.clock.now() + NEWS_S, self._news)

    def active_hazards(self, _name: str, /) -> tuple[str, ...]:
        """Nothing smokes."""
        return ()

    def request(self, name: str, request: str, /) -> Refused | None:
        """The tie's two, `start`, and a black start that its interlock forbids while the grid is there."""
        self._pass_time()
        if name in self.appliances and request == "start":
            refused = self.appliances[name].start()
            self.clock.call_at(self.appliances[name].due_s, self._news)
            return refused
        if name == "tie" and request == "open":
            self.tie.closed, self.tie.permitted, self.tie.opened_at_s = False, False, self.clock.now()
            return None
        if name == "tie" and request == "permit_close":
            self.tie.permitted, self.tie.opened_at_s = True, self.clock.now()
            return None
        if name == "former" and request == "black_start":
            return Refused("the bus behind the tie is not black", "interlocked")
        return Refused(f"{name} knows no request {request}", "unknown_request")

    def tell(self, changed: Callable[[], None], /) -> None:
        """From now on appliances say at once that they have begun or ended."""
        self._tell = changed
        self._watch()

    def flexibility(self, name: str, /) -> model.ElementFlexibility | None:
        """What it knows better than a hub."""
        self._pass_time()
        if name in self.appliances:
            return self.appliances[name].flexibility() if name != "dryer" else None
        if name == "battery":
            return flexible.battery(self, CAPACITY_WH, BATTERY_MAX_W, STEP_W)
        if name == "evse":
            return flexible.charger(
                self._ev(0), EVSE_MIN_A * VOLTAGE_V, EVSE_MAX_A * VOLTAGE_V, step_w=VOLTAGE_V
            )
        if name == "heat":
            able = next(found.capabilities for found in self.elements if found.id == name)
            return flexible.heat_pump(able, self._mode(), THERMAL)
        return None

    # Powers, positive into the element

    def battery_w(self) -> float:
        """As told, within what is told."""
        told = self.told.get("battery", Effective())
        return min(max(told.power_w or 0.0, -told.produce_max_w), told.consume_max_w)

    def inverter_w(self) -> float:
        """All the sun, within the limit."""
        return -min(SUN_W, self.told.get("inverter", Effective()).produce_max_w)

    def evse_w(self) -> float:
        """All that is allowed, from 6 A on."""
        told = self.told.get("evse", Effective())
        current_a = min(EVSE_MAX_A, told.current_max_a, told.consume_max_w / VOLTAGE_V)
        return current_a // 1 * VOLTAGE_V if self.plugged and current_a >= EVSE_MIN_A else 0.0

    def heat_w(self) -> float:
        """By its mode."""
        return {"blocked": 10.0, "forced": 1500.0}.get(self._mode(), 400.0)

    def circuit_w(self, name: str) -> float:
        """A small load behind each closed switch."""
        return PLUG_W if self._closed(name) else 0.0

    def former_w(self) -> float:
        """The loads of the backup bus, while it is an island."""
        return 0.0 if self.tie.closed else -BACKUP_LOAD_W

    def mains_w(self) -> float:
        """All that hangs on the grid's bus."""
        circuits_w = sum(self.circuit_w(f"circuit_{number}") for number in range(1, CIRCUITS + 1))
        behind_w = BACKUP_LOAD_W if self.tie.closed else 0.0
        loads_w = circuits_w + behind_w + sum(machine.draws_w() for machine in self.appliances.values())
        return self.battery_w() + self.inverter_w() + self.evse_w() + self.heat_w() + loads_w

    # Readings

    def _battery(self) -> model.ElementState:
        own = model.LimitState(
            consume_max_w=0.0 if self.soc_pct >= 100 else BATTERY_MAX_W,
            produce_max_w=0.0 if self.soc_pct <= 0 else BATTERY_MAX_W,
            limited_by="soc",
        )
        return model.ElementState(
            ac_measure=_measured(self.battery_w()),
            storage=model.Storage(soc_pct=self.soc_pct, capacity_wh=CAPACITY_WH, soh_pct=100.0),
            limit=own if self.soc_pct in {0.0, 100.0} else UNSET,
        )

    def _inverter(self) -> model.ElementState:
        return model.ElementState(
            ac_measure=_measured(self.inverter_w()), produce=model.Produce(available_w=SUN_W)
        )

    def _string(self) -> model.ElementState:
        power_w = self.inverter_w()
        return model.ElementState(
            dc_measure=model.DcMeasure(power_w=power_w, current_a=power_w / 400, voltage_v=400)
        )

    def _evse(self) -> model.ElementState:
        power_w = self.evse_w()
        return model.ElementState(
            ac_measure=_measured(power_w),
            ev=self._ev(power_w),
        )

    def _ev(self, power_w: float) -> model.Ev:
        return model.Ev(
            connected=self.plugged,
            charging=power_w > 0,
            soc_pct=None,
            energy_needed_wh=None,
            departure_in_s=round(self.left_s(DEPARTURE_S), 1),
        )

    def _heat(self) -> model.ElementState:
        return model.ElementState(
            ac_measure=_measured(self.heat_w()),
            mode=model.Mode(mode=self._mode()),
            thermal=THERMAL,
        )

    def _former(self) -> model.ElementState:
        power_w = self.former_w()
        return model.ElementState(
            ac_measure=_measured(power_w),
            form_grid=model.FormGrid(forming=not self.tie.closed, headroom_w=3000 + power_w),
        )

    def _read_tie(self) -> model.ElementState:
        return model.ElementState(
            isolate=model.Isolate(
                closed=self.tie.closed,
                grid_ok=True,
                island_state="grid" if self.tie.closed else "island",
                reconnect_in_s=self.tie.reconnect_in_s(self.clock.now()),
            )
        )

    def _mains(self) -> model.ElementState:
        return model.ElementState(ac_measure=_measured(self.mains_w()))

    def _circuit(self, name: str) -> model.ElementState:
        return model.ElementState(
            ac_measure=_measured(self.circuit_w(name)), switch=model.Switch(closed=self._closed(name))
        )

    def _appliance(self, machine: Appliance) -> model.ElementState:
        return model.ElementState(ac_measure=_measured(machine.draws_w()), job=machine.state())

    def _closed(self, name: str) -> bool:
        return self.told.get(name, Effective()).closed is not False

    def _mode(self) -> str:
        return self.told.get("heat", Effective()).mode or "normal"

    def _pass_time(self) -> None:
        """Energy into the battery since the last look, and a tie that closes by itself."""
        now_s = self.clock.now()
        power_w = self.battery_w()
        kept = 0.96 if power_w > 0 else 1 / 0.96
        self.soc_pct += 100 * power_w * kept * (now_s - self._at_s) / 3600 / CAPACITY_WH
        self.soc_pct = min(max(self.soc_pct, 0.0), 100.0)
        self._at_s = now_s
        if self.tie.reconnect_in_s(now_s) == 0:
            self.tie.closed = True
        for machine in self.appliances.values():
            machine.pass_time(now_s)

    def _news(self) -> None:
        """An appliance has begun or ended."""
        self._pass_time()
        if self._tell is not None:
            self._tell()

    def _watch(self) -> None:
        """See to it that the next turn of an appliance is told when it comes."""
        due_s = min(machine.due_s for machine in self.appliances.values())
        self.clock.call_at(due_s, self._turned)

    def _turned(self) -> None:
        self._news()
        self._watch()


def _measured(power_w: float) -> model.AcMeasure:
    """One conductor of 230 V."""
    conductor = model.AcTerminal(power_w=power_w, current_a=abs(power_w) / VOLTAGE_V, voltage_v=VOLTAGE_V)
    return model.AcMeasure(power_w=power_w, terminals={"L1": conductor})
