"""What stands in the simulated home: sizes and constants, checked when they are made.

The defaults are the demo home: three-phase, main fuse 3 x 35 A, micro-inverters, a hybrid with a backup
side, an AC battery, an electric car and a heat pump. All homes of one `House` share a configuration and
differ by their seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

GRID = "grid"
BACKUP = "backup"


class ScenarioError(ValueError):
    """A home, a source or a request to the world that cannot be; says what was found and what is allowed.

    The physics knows no protocol, hence not the errors of `ores.link`; the command line shows it as a
    ConfigError.
    """


def check(ok: bool, owner: object, name: str, allowed: str) -> None:
    """Raise a ScenarioError that names the setting, what was found and what is allowed."""
    if not ok:
        raise ScenarioError(
            f"{type(owner).__name__}.{name}: found {getattr(owner, name)!r}, allowed: {allowed}"
        )


def _in_range(owner: object, low: float, high: float, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        check(
            isinstance(value, (int, float)) and math.isfinite(value) and low <= value <= high,
            owner,
            name,
            f"a number from {low:g} to {high:g}",
        )


def even(*used: bool) -> tuple[float, ...]:
    """Share vector that spreads evenly over the conductors marked True."""
    return tuple(flag / sum(used) for flag in used)


def _shares_on(conductors: int, *which: int) -> tuple[float, ...]:
    return even(*(index in which for index in range(conductors)))


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The conductors between the utility and the house.

    Attributes:
        conductors: Their names; ("l1", "l2", "l3"), ("l1", "l2") for split phase, ("l1",) for single phase.
        voltage_v: Nominal, conductor to neutral.
        frequency_hz: Nominal.
        fuse_a: Main fuse, per conductor.
        source_ohm: Resistance of the supply per conductor. The reference impedance of IEC 60725 has 0.24 ohm.
    """

    conductors: tuple[str, ...] = ("l1", "l2", "l3")
    voltage_v: float = 230.0
    frequency_hz: float = 50.0
    fuse_a: float = 35.0
    source_ohm: float = 0.24

    def __post_init__(self) -> None:
        count = len(self.conductors)
        check(
            1 <= count <= 3 and len(set(self.conductors)) == count,
            self,
            "conductors",
            "1 to 3 distinct names",
        )
        _in_range(self, 50.0, 500.0, "voltage_v")
        _in_range(self, 45.0, 65.0, "frequency_hz")
        _in_range(self, 1.0, 1000.0, "fuse_a")
        _in_range(self, 0.0, 5.0, "source_ohm")


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the house stands and when the run starts.

    Attributes:
        latitude_deg: North positive.
        longitude_deg: East positive.
        altitude_m: Above the sea.
        utc_offset_h: Local clock of the people; no daylight saving.
        start: First instant of the run, with a time zone.
    """

    latitude_deg: float = 48.8
    longitude_deg: float = 9.2
    altitude_m: float = 250.0
    utc_offset_h: float = 1.0
    start: datetime = datetime(2025, 6, 20, 23, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        _in_range(self, -66.0, 66.0, "latitude_deg")
        _in_range(self, -180.0, 180.0, "longitude_deg")
        _in_range(self, -400.0, 5000.0, "altitude_m")
        _in_range(self, -12.0, 14.0, "utc_offset_h")
        check(self.start.tzinfo is not None, self, "start", "a time with a time zone")


@dataclass(frozen=True, kw_only=True)
class PvArray:
    """Modules of one plane.

    Attributes:
        peak_w: Direct-current power under standard test conditions (1000 W/m², 25 °C).
        tilt_deg: 0 is flat.
        azimuth_deg: 90 is east, 180 south, 270 west.
    """

    peak_w: float
    tilt_deg: float
    azimuth_deg: float

    def __post_init__(self) -> None:
        _in_range(self, 0.0, 1e6, "peak_w")
        _in_range(self, 0.0, 90.0, "tilt_deg")
        _in_range(self, 0.0, 360.0, "azimuth_deg")


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Micro-inverters behind one gateway, on the grid side.

    Attributes:
        count: Of the micro-inverters.
        array: All their modules together.
        rating_w: Alternating-current rating of one.
        efficiency: Direct to alternating current.
        reconnect_s: Healthy grid before they start again (EN 50549-1 asks for at least 60 s).
        shares: One share vector per inverter; None deals them out, one conductor each in turn.
    """

    count: int = 8
    array: PvArray = PvArray(peak_w=8 * 430.0, tilt_deg=30.0, azimuth_deg=180.0)
    rating_w: float = 400.0
    efficiency: float = 0.965
    reconnect_s: float = 60.0
    shares: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        check(0 <= self.count <= 200, self, "count", "0 to 200")
        _in_range(self, 0.0, 1e5, "rating_w", "reconnect_s")
        _in_range(self, 0.5, 1.0, "efficiency")
        if self.shares is not None:
            check(
                len(self.shares) == self.count,
                self,
                "shares",
                f"{self.count} share vectors, one per inverter",
            )


@dataclass(frozen=True, kw_only=True)
class Battery:
    """A store of electric energy.

    Attributes:
        capacity_wh: Usable, between 0 and 100 %.
        charge_w: Largest charging power at its terminal.
        discharge_w: Largest discharging power at its terminal.
        efficiency: One way, each way.
        standby_w: Drawn always while its bus is alive.
        taper: The charging power falls linearly over the last, the discharging power over the first part
            of this size. The straight line makes the end of charge exponential in time, as at constant
            voltage.
        start_soc_pct: At the start of the run.
        heat_capacity_j_k: Of the whole pack.
        loss_w_k: Heat that it gives to its room, per kelvin.
    """

    capacity_wh: float = 13_500.0
    charge_w: float = 5_000.0
    discharge_w: float = 5_000.0
    efficiency: float = 0.95
    standby_w: float = 12.0
    taper: float = 0.1
    start_soc_pct: float = 40.0
    heat_capacity_j_k: float = 110_000.0
    loss_w_k: float = 8.0

    def __post_init__(self) -> None:
        _in_range(self, 1.0, 1e7, "capacity_wh")
        _in_range(self, 0.0, 1e6, "charge_w", "discharge_w")
        _in_range(self, 0.5, 1.0, "efficiency")
        _in_range(self, 0.0, 500.0, "standby_w")
        _in_range(self, 0.001, 0.5, "taper")
        _in_range(self, 0.0, 100.0, "start_soc_pct")
        _in_range(self, 1e3, 1e8, "heat_capacity_j_k")
        _in_range(self, 0.0, 1e3, "loss_w_k")


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """Inverter with strings, battery, grid port, backup port and the tie between the two.

    Attributes:
        strings: Photovoltaic arrays on its direct-current side.
        battery: On its direct-current side; `standby_w` there must be 0, the inverter's own counts.
        rating_w: Alternating-current rating of the conversion, both ways.
        efficiency: Of the conversion, each way.
        standby_w: Own consumption, taken from the direct-current side.
        backup_max_w: What the backup port carries on an island, all conductors together.
        backup_conductor_max_w: The same for one conductor.
        reconnect_s: Healthy grid before the tie closes again.
        retry_s: After a black-out, before it tries to form the grid again.
        restart_soc_pct: State of charge below which it does not try.
    """

    strings: tuple[PvArray, ...] = (
        PvArray(peak_w=3_300.0, tilt_deg=35.0, azimuth_deg=110.0),
        PvArray(peak_w=3_300.0, tilt_deg=35.0, azimuth_deg=250.0),
    )
    battery: Battery = Battery(
        capacity_wh=10_000.0, efficiency=0.98, standby_w=0.0, heat_capacity_j_k=80_000.0, loss_w_k=6.0
    )
    rating_w: float = 8_000.0
    efficiency: float = 0.975
    standby_w: float = 20.0
    backup_max_w: float = 8_000.0
    backup_conductor_max_w: float = 3_680.0
    reconnect_s: float = 60.0
    retry_s: float = 60.0
    restart_soc_pct: float = 5.0

    def __post_init__(self) -> None:
        check(self.battery.standby_w == 0.0, self, "battery", "standby_w = 0 (the inverter's own counts)")
        check(len(self.strings) >= 1, self, "strings", "one array or more (peak_w may be 0)")
        _in_range(
            self, 0.0, 1e6, "rating_w", "backup_max_w", "backup_conductor_max_w", "reconnect_s", "retry_s"
        )
        _in_range(self, 0.5, 1.0, "efficiency")
        _in_range(self, 0.0, 500.0, "standby_w")
        _in_range(self, 0.0, 100.0, "restart_soc_pct")


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """An electric car and its charger.

    Arrival and need are shaped like the sessions of Sørensen et al., Residential electric vehicle
    charging datasets from apartment buildings, Data in Brief 36 (2021): mean need 13 kWh, median stay 10 h.

    Attributes:
        battery: Of the car; `efficiency` is that of the charger on board.
        phases: Largest number of conductors that it charges from; the charger may use 1 or this many.
        min_a: Smallest current that a car must accept (IEC 61851-1: 6 A); below it, charging pauses.
        max_a: Largest current of the charger.
        arrival_h: Mean local hour of coming home.
        departure_h: Mean local hour of leaving.
        drive_wh: Mean energy of a day's driving.
        away_share: Part of the days on which the car is not used at all.
        commutes: False leaves the coming and going to the person ("world").
    """

    battery: Battery = Battery(
        capacity_wh=60_000.0,
        charge_w=11_040.0,
        discharge_w=0.0,
        efficiency=0.92,
        standby_w=0.0,
        taper=0.15,
        start_soc_pct=60.0,
    )
    phases: int = 3
    min_a: float = 6.0
    max_a: float = 16.0
    arrival_h: float = 17.5
    departure_h: float = 7.5
    drive_wh: float = 11_000.0
    away_share: float = 0.15
    commutes: bool = True

    def __post_init__(self) -> None:
        check(1 <= self.phases <= 3, self, "phases", "1 to 3")
        check(
            self.battery.discharge_w == 0.0, self, "battery", "discharge_w = 0 (it does not feed the house)"
        )
        _in_range(self, 1.0, 100.0, "min_a", "max_a")
        check(self.min_a <= self.max_a, self, "min_a", f"at most max_a ({self.max_a:g})")
        _in_range(self, 12.0, 22.0, "arrival_h")
        _in_range(self, 4.0, 11.0, "departure_h")
        _in_range(self, 0.0, 1e6, "drive_wh")
        _in_range(self, 0.0, 1.0, "away_share")


@dataclass(frozen=True, kw_only=True)
class Building:
    """The house as two thermal nodes, after the simple hourly method of EN ISO 13790:2008 (§7.2.2, §12.3.1).

    Attributes:
        floor_m2: Conditioned floor area; the "medium" class of Table 12 gives 165 kJ/(m²·K) of mass.
        envelope_w_k: Heat lost through walls and roof, per kelvin; it leaves from the mass.
        window_w_k: Heat lost through windows and air change, per kelvin; it leaves from the air.
        window_m2: Effective sun-catching area, times its solar factor.
        internal_w: People and appliances.
        start_c: Temperature at the start of the run.
    """

    floor_m2: float = 140.0
    envelope_w_k: float = 80.0
    window_w_k: float = 70.0
    window_m2: float = 2.0
    internal_w: float = 300.0
    start_c: float = 20.5

    def __post_init__(self) -> None:
        _in_range(self, 10.0, 2000.0, "floor_m2")
        _in_range(self, 1.0, 5000.0, "envelope_w_k", "window_w_k")
        _in_range(self, 0.0, 500.0, "window_m2")
        _in_range(self, 0.0, 5000.0, "internal_w")
        _in_range(self, 0.0, 40.0, "start_c")


@dataclass(frozen=True, kw_only=True)
class HeatPump:
    """An air-source heat pump with the four SG-Ready operating modes, for rooms and hot water.

    Attributes:
        rating_w: Electric power of the compressor when it runs.
        standby_w: Controls and pump while its bus is alive.
        room_c: Set-point of the rooms in mode 2; ± half a kelvin of hysteresis.
        boost_k: Added to both set-points in mode 3.
        room_max_c: Mode 4 stops above it.
        supply_c: Of the heating circuit.
        tank_c: Set-point of the hot water; 4 K of hysteresis. Mode 4 goes up to `tank_max_c`.
        tank_max_c: Never exceeded by the control.
        tank_litres: 0 leaves hot water out.
        tank_loss_w_k: Heat lost by the tank, per kelvin.
        hot_water_wh: Drawn per day.
        min_run_s: Once started.
        min_off_s: Once stopped; also after a power cut.
    """

    rating_w: float = 2_200.0
    standby_w: float = 8.0
    room_c: float = 20.5
    boost_k: float = 2.0
    room_max_c: float = 24.0
    supply_c: float = 38.0
    tank_c: float = 50.0
    tank_max_c: float = 60.0
    tank_litres: float = 250.0
    tank_loss_w_k: float = 1.8
    hot_water_wh: float = 6_000.0
    min_run_s: float = 600.0
    min_off_s: float = 600.0

    def __post_init__(self) -> None:
        _in_range(self, 0.0, 1e5, "rating_w", "hot_water_wh", "min_run_s", "min_off_s")
        _in_range(self, 0.0, 500.0, "standby_w")
        _in_range(self, 5.0, 35.0, "room_c", "room_max_c")
        _in_range(self, 0.0, 10.0, "boost_k")
        _in_range(self, 20.0, 70.0, "supply_c", "tank_c", "tank_max_c")
        _in_range(self, 0.0, 5000.0, "tank_litres")
        _in_range(self, 0.0, 50.0, "tank_loss_w_k")


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """One branch of the panel, or the unmetered rest.

    Attributes:
        name: Unique in the house.
        shares: Part of its power on each conductor; they sum to 1.
        bus: "grid" or "backup" (critical).
    """

    name: str
    shares: tuple[float, ...]
    bus: str = GRID

    def __post_init__(self) -> None:
        check(bool(self.name), self, "name", "a non-empty name")
        check(self.bus in (GRID, BACKUP), self, "bus", "'grid' or 'backup'")
        good = all(math.isfinite(s) and s >= 0.0 for s in self.shares) and abs(sum(self.shares) - 1.0) < 1e-9
        check(good, self, "shares", "non-negative numbers that sum to 1")


# Sixteen branches of an ordinary panel: name, conductors (counted modulo what the house has), bus.
_PANEL: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("fridge", (0,), BACKUP),
    ("freezer", (1,), BACKUP),
    ("lights_down", (2,), BACKUP),
    ("lights_up", (0,), BACKUP),
    ("network", (1,), BACKUP),
    ("ventilation", (2,), BACKUP),
    ("kitchen", (0,), GRID),
    ("oven", (1,), GRID),
    ("hob", (0, 1, 2), GRID),
    ("dishwasher", (2,), GRID),
    ("washer", (0,), GRID),
    ("dryer", (1,), GRID),
    ("living", (2,), GRID),
    ("office", (0,), BACKUP),
    ("bathroom", (1,), GRID),
    ("garage", (2,), GRID),
)


def default_circuits(conductors: int = 3) -> tuple[Circuit, ...]:
    """The sixteen branches of the demo home, dealt out over this many conductors."""
    return tuple(
        Circuit(name=name, shares=_shares_on(conductors, *{w % conductors for w in which}), bus=bus)
        for name, which, bus in _PANEL
    )


@dataclass(frozen=True, kw_only=True)
class HouseConfig:
    """Everything in the home. `for_conductors` adapts the default to another supply."""

    wiring: Wiring = Wiring()
    site: Site = Site()
    gateway: Gateway = Gateway()
    hybrid: Hybrid = Hybrid()
    ac_battery: Battery = Battery()
    vehicle: Vehicle = Vehicle()
    building: Building = Building()
    heat_pump: HeatPump = HeatPump()
    circuits: tuple[Circuit, ...] = field(default_factory=default_circuits)
    unmetered: Circuit = Circuit(name="unmetered", shares=even(True, True, True))

    def __post_init__(self) -> None:
        names = [c.name for c in (*self.circuits, self.unmetered)]
        check(
            len(set(names)) == len(names) and len(self.circuits) >= 1,
            self,
            "circuits",
            "distinct names, >= 1",
        )
        count = len(self.wiring.conductors)
        wrong = [c.name for c in (*self.circuits, self.unmetered) if len(c.shares) != count]
        check(not wrong, self, "circuits", f"{count} shares each, one per conductor (wrong: {wrong})")
        for shares in self.gateway.shares or ():
            check(
                len(shares) == count and abs(sum(shares) - 1.0) < 1e-9,
                self,
                "gateway",
                f"share vectors of {count} numbers that sum to 1",
            )
        check(self.vehicle.phases <= count, self, "vehicle", f"phases of at most {count}, the conductors")

    @property
    def arrays(self) -> tuple[PvArray, ...]:
        """The gateway's array first, then the strings of the hybrid; the order of `Exogenous.pv_dc_w`."""
        return (self.gateway.array, *self.hybrid.strings)

    def settings(self) -> dict[str, object]:
        """The parts by name, for showing."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def for_conductors(
    *conductors: str, voltage_v: float = 230.0, fuse_a: float = 35.0, frequency_hz: float = 50.0
) -> HouseConfig:
    """The demo home on another supply.

    Args:
        conductors: Names, e.g. "l1", "l2" for split phase.
        voltage_v: Nominal, conductor to neutral.
        fuse_a: Main fuse, per conductor.
        frequency_hz: Nominal.
    """
    count = len(conductors)
    return HouseConfig(
        wiring=Wiring(conductors=conductors, voltage_v=voltage_v, fuse_a=fuse_a, frequency_hz=frequency_hz),
        vehicle=Vehicle(phases=count),
        circuits=default_circuits(count),
        unmetered=Circuit(name="unmetered", shares=even(*(True,) * count)),
    )
