"""A hybrid inverter: strings, battery, grid port, backup port and the tie between the two buses.

The battery's set-point is counted at AC: what the inverter gives or takes beyond what the sun alone makes it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from ores.model import (
    AcMeasureCapability,
    DcMeasure,
    DcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    FormGrid,
    FormGridCapability,
    GridCodeCapability,
    Isolate,
    IsolateCapability,
    LimitCapability,
    Produce,
    ProduceCapability,
    Rating,
    SetpointCapability,
    SetpointState,
    Storage,
    StorageCapability,
)
from ores.module.description import About, element
from ores.module.device import Answer, Refused
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of, rounded
from ores.sim.physics import world
from ores.sim.physics.battery import HYBRID
from ores.sim.physics.config import BACKUP, GRID
from ores.sim.physics.thermal import HYBRID_BATTERY
from ores.sim.plant import Actuator, Plant

ABOUT = About(
    name="Hybrid inverter", maker="Sunmark", model="H8 Backup", serial="SM-H8-1204", profiles=("hybrid",)
)
DELAY_S = 0.5
RAMP_W_PER_S = 4_000.0
RESPONSE_S = 3.0
RESOLUTION_W = 2.0
CLOSED, ISLAND, BLACK, WAITING = "grid", "island", "black", "synchronising"


class HybridInverter:
    """Eight elements of one box."""

    def __init__(self, plant: Plant) -> None:
        hybrid, actions = plant.house.config.hybrid, plant.actions
        self._plant = plant
        self._hybrid = hybrid
        self._strings = {f"string{i + 1}": i for i in range(len(hybrid.strings))}
        self._meters = {
            name: AcMeter(plant, name, resolution_w=RESOLUTION_W, detailed=detailed, bus=bus)
            for name, detailed, bus in (
                ("inverter", False, BACKUP),
                ("grid_port", True, GRID),
                ("backup_port", True, BACKUP),
            )
        }
        self._pack = plant.rows("hybrid_battery").start
        self._battery = Actuator(
            plant, plant.cell(actions.hybrid_battery_w), delay_s=DELAY_S, ramp_per_s=RAMP_W_PER_S
        )
        self._consume = Actuator(plant, plant.cell(actions.inverter_consume_max_w), delay_s=DELAY_S)
        self._produce = Actuator(plant, plant.cell(actions.inverter_produce_max_w), delay_s=DELAY_S)
        self.elements: tuple[Element, ...] = (
            self._inverter_element(),
            *self._string_elements(),
            self._battery_element(),
            self._port_element("grid_port", "grid"),
            self._port_element("backup_port", "backup"),
            self._tie_element(),
        )

    def read(self, element: str) -> ElementState:
        """One element; all of them as of the same instant."""
        match element:
            case "battery":
                return self._read_battery()
            case "tie":
                return self._read_tie()
            case "inverter" | "grid_port" | "backup_port":
                return self._read_ac(element)
            case _:
                return self._read_string(element)

    def apply(self, element: str, command: Effective) -> Answer:
        """Limits bind the inverter, the set-point is the battery's."""
        if element == "inverter":
            self._consume.aim(min(command.consume_max_w, self._hybrid.rating_w))
            self._produce.aim(min(command.produce_max_w, self._hybrid.rating_w))
        else:
            power_w = min(max(command.power_w or 0.0, -command.produce_max_w), command.consume_max_w)
            self._battery.aim(power_w)
        return None

    def request(self, element: str, request: str) -> Refused | None:
        """Open the tie, permit it to close by itself once the grid is good, or start the dead bus."""
        house, home = self._plant.house, self._plant.home
        match element, request:
            case "tie", "open":
                world.hold_open(house, True, home)
            case "tie", "permit_close":
                # it closes by itself, after its own look at both sides
                world.hold_open(house, False, home)
            case "inverter", "black_start" if house.tie.closed[home]:
                return Refused("the tie is closed; there is no island to start", code="interlocked")
            case "inverter", "black_start":
                world.black_start(house, home)
            case _:
                return Refused(f"{element} knows no {request}", code="unknown_request")
        return None

    def tell(self, changed: Callable[[], None]) -> None:
        """Say at once that the tie has moved: on both sides of it other limits hold."""
        self._plant.on_tie_moved.append(changed)

    # ---- readings ----------------------------------------------------------------------------------------

    def _read_ac(self, element: str) -> ElementState:
        meter = self._meters[element]
        return ElementState(
            ac_measure=meter.measure(),
            energy=meter.energy(),
            form_grid=self._forms() if element == "inverter" else UNSET,
        )

    def _read_string(self, element: str) -> ElementState:
        plant, which = self._plant, self._strings[element]
        power_w = plant.power_w[plant.rows(element).start]
        available_w = float(plant.house.pv_available_w[1 + which, plant.home])
        return ElementState(
            dc_measure=DcMeasure(power_w=rounded(power_w, RESOLUTION_W)),
            produce=Produce(available_w=max(0.0, rounded(available_w, RESOLUTION_W))),
        )

    def _read_battery(self) -> ElementState:
        plant, home, stores = self._plant, self._plant.home, self._plant.house.stores
        eta = self._hybrid.efficiency
        charge_w, discharge_w = float(stores.limit_w[0, HYBRID, home]), float(stores.limit_w[1, HYBRID, home])
        return ElementState(
            dc_measure=DcMeasure(power_w=rounded(plant.power_w[self._pack], RESOLUTION_W)),
            setpoint=SetpointState(
                consume_max_w=max(0.0, round(charge_w / eta)),
                produce_max_w=max(0.0, round(discharge_w * eta)),
            ),
            storage=Storage(
                soc_pct=min(100.0, max(0.0, round(stores.soc_pct(HYBRID, home), 1))),
                temperature_c=round(float(plant.house.temperature_c[HYBRID_BATTERY, home]), 1),
            ),
        )

    def _read_tie(self) -> ElementState:
        home, tie = self._plant.home, self._plant.house.tie
        closed, grid_ok, forming = bool(tie.closed[home]), bool(tie.grid_ok[home]), bool(tie.forming[home])
        held = bool(tie.hold_open[home]) or not tie.permit_close[home]
        waiting = grid_ok and not held  # for its own look at both sides to last long enough
        state = CLOSED if closed else (WAITING if waiting else ISLAND) if forming else BLACK
        wait_s = max(0.0, self._hybrid.reconnect_s - float(tie.healthy_s[home]))
        return ElementState(
            isolate=Isolate(
                closed=closed,
                island_state=state,
                grid_ok=grid_ok,
                reconnect_in_s=0.0 if closed else round(wait_s) if waiting else None,
            ),
        )

    def _forms(self) -> FormGrid:
        plant = self._plant
        forming = bool(plant.house.tie.forming[plant.home])
        load_w = max(0.0, -sum(plant.power_w[plant.rows("backup_port")]))
        return FormGrid(
            forming=forming,
            headroom_w=max(0.0, round(self._hybrid.backup_max_w - load_w)) if forming else None,
        )

    # ---- description -------------------------------------------------------------------------------------

    def _inverter_element(self) -> Element:
        lines = self._meters["inverter"].lines
        return element(
            "inverter",
            "inverter",
            name="Inverter",
            bus="backup",
            terminals=lines,
            connection=connection_of(lines),
            ac_measure=AcMeasureCapability(accuracy_pct=1.0),
            energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
            rating=Rating(
                consume_max_w=self._hybrid.rating_w,
                produce_max_w=self._hybrid.rating_w,
                voltage_v=self._plant.house.config.wiring.voltage_v,
            ),
            limit=LimitCapability(consume=True, produce=True),
            form_grid=FormGridCapability(power_max_w=self._hybrid.backup_max_w),
            grid_code=GridCodeCapability(code="EN 50549-1", reconnect_s=self._hybrid.reconnect_s),
        )

    def _string_elements(self) -> list[Element]:
        return [
            element(
                name,
                "pv",
                name=f"String {which + 1}",
                bus="dc",
                upstream="inverter",
                connection="dc",
                dc_measure=DcMeasureCapability(),
                produce=ProduceCapability(peak_w=self._hybrid.strings[which].peak_w),
            )
            for name, which in self._strings.items()
        ]

    def _battery_element(self) -> Element:
        battery = self._hybrid.battery
        eta = self._hybrid.efficiency
        charge_w, discharge_w = battery.charge_w / eta, battery.discharge_w * eta
        return element(
            "battery",
            "battery",
            name="Battery",
            bus="dc",
            upstream="inverter",
            connection="dc",
            dc_measure=DcMeasureCapability(),
            rating=Rating(consume_max_w=charge_w, produce_max_w=discharge_w),
            limit=LimitCapability(consume=True, produce=True),
            setpoint=SetpointCapability(
                consume_max_w=charge_w,
                produce_max_w=discharge_w,
                response_s=RESPONSE_S,
                ramp_w_per_s=RAMP_W_PER_S,
            ),
            storage=StorageCapability(
                capacity_wh=battery.capacity_wh,
                charge_efficiency_pct=100.0 * battery.efficiency * eta,
                discharge_efficiency_pct=100.0 * battery.efficiency * eta,
                reserve_setting=True,
            ),
        )

    def _port_element(self, name: str, bus: str) -> Element:
        lines = self._meters[name].lines
        return element(
            name,
            "ac_port",
            name=f"{bus.capitalize()} port",
            bus=bus,
            terminals=lines,
            connection=connection_of(lines),
            ac_measure=AcMeasureCapability(accuracy_pct=1.0),
            energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
        )

    def _tie_element(self) -> Element:
        return element(
            "tie",
            "tie",
            name="Transfer switch",
            bus="grid",
            isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup", transfer_s=0.02),
        )
