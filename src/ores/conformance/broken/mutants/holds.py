"""Modules that do not hold what they say, or say what they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.conformance.broken.whole import Whole
from ores.model import Produce
from ores.module import Effective
from ores.module import effective as sdk_effective
from ores.module.part import Part


def on_element(seams: Seams, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change what every state says of one element."""

    def state(found: Any) -> Any:
        elements = found["elements"]
        if name not in elements:
            return found
        return {**found, "elements": {**elements, name: change(elements[name])}}

    seams.on_state(state)


@broken("setpoint-followed", also=("setpoint-response",))
def does_half_of_what_it_says(seams: Seams) -> None:
    """Something between the controller and the power stage divides by two."""

    def halve(device: Whole) -> None:
        whole = device.battery_w
        device.battery_w = lambda: whole() / 2  # type: ignore[method-assign]

    seams.devices.append(halve)


@broken("setpoint-response", also=("setpoint-followed",))
def is_slower_than_it_says(seams: Seams) -> None:
    """It reaches what it was asked for, after the time that it declares."""

    def slow(device: Whole) -> None:
        quick, since = device.battery_w, [(0.0, 0.0)]

        def battery_w() -> float:
            wanted_w, now_s = quick(), device.clock.now()
            if wanted_w != since[-1][1]:
                since.append((now_s, wanted_w))
            began_s, _ = since[-1]
            before_w = since[-2][1] if len(since) > 1 else 0.0
            rising = abs(wanted_w) > abs(before_w)
            return before_w + (wanted_w - before_w) * 0.8 if rising and now_s - began_s < 2.5 else wanted_w

        device.battery_w = battery_w  # type: ignore[method-assign]

    seams.devices.append(slow)


@broken("state-effective-values", also=("lease-acted-on", "boot-under-failsafe"))
def reports_its_rating_as_its_limit(seams: Seams) -> None:
    """It obeys, and does not say so: one element's limit is always its rating."""
    on_element(
        seams,
        "inverter",
        lambda found: {**found, "limit": {"produce_max_w": 2000, "limited_by": "rating"}},
    )


@broken("state-setpoint-range")
def offers_what_a_limit_forbids(seams: Seams) -> None:
    """Its range of set-points is that of the description, whatever holds."""
    on_element(
        seams,
        "battery",
        lambda found: {
            **found,
            "setpoint": {**found["setpoint"], "consume_max_w": 4000, "produce_max_w": 4000},
        },
    )


def _ignores_limits(seams: Seams, when: Callable[[Effective], bool]) -> None:
    """The device does not look at its limit where `when` says so."""

    def deaf(device: Whole) -> None:
        apply = device.apply

        def heard(name: str, command: Effective, /) -> None:
            if name == "inverter" and when(command):
                command = msgspec.structs.replace(command, produce_max_w=float("inf"))
            apply(name, command)

        device.apply = heard  # type: ignore[method-assign]

    seams.devices.append(deaf)


@broken("limit-holds", also=("limit-binds-policy", "failsafe-binds-policy", "produce-available"))
def does_not_curtail(seams: Seams) -> None:
    """The limit is kept and told, and nobody tells the power stage, unless it is 0."""
    _ignores_limits(seams, lambda command: 0 < command.produce_max_w < float("inf"))


@broken("limit-zero")
def never_quite_stops(seams: Seams) -> None:
    """A battery whose least power is not 0."""

    def creep(device: Whole) -> None:
        exact = device.battery_w

        def battery_w() -> float:
            told = device.told.get("battery", Effective())
            wanted_w = told.power_w or 0.0
            # the module has cut the set-point already: what is left of the wish is the limit of 0 itself
            leaks = wanted_w == 0.0 and 0.0 in {told.consume_max_w, told.produce_max_w}
            return 300.0 if leaks else exact()

        device.battery_w = battery_w  # type: ignore[method-assign]

    seams.devices.append(creep)


@broken("limit-binds-policy", also=("failsafe-binds-policy",))
def limits_bind_set_points_only(seams: Seams) -> None:
    """Under its policy the sun shines as it likes; only a third is where it gives up."""
    _ignores_limits(seams, lambda command: 550 <= command.produce_max_w <= 650)


@broken("own-bounds-enforced")
def knows_no_rating(seams: Seams) -> None:
    """A set-point beyond the rating is taken as it is, and answered so."""
    reachable = sdk_effective._reachable  # noqa: SLF001 - the mutation's place

    def boundless(asked_w: float, *args: Any) -> tuple[float, str]:
        return (asked_w, "") if abs(asked_w) > 8000 else reachable(asked_w, *args)

    seams.attribute(sdk_effective, "_reachable", boundless)


@broken("produce-available")
def says_what_is_left(seams: Seams) -> None:
    """What the source could give is what it gives."""

    def modest(device: Whole) -> None:
        readers = dict(device._readers)  # noqa: SLF001
        full = readers["inverter"]

        def inverter() -> Any:
            found = full()
            produce = Produce(available_w=-device.inverter_w())
            return msgspec.structs.replace(found, produce=produce)

        device._readers = {**readers, "inverter": inverter}  # noqa: SLF001

    seams.devices.append(modest)


@broken("storage-soc", also=("flexibility-agrees-with-state", "reserve-kept"))
def is_empty_and_gives_on(seams: Seams) -> None:
    """Its state of charge has been 0 since it was made."""
    on_element(seams, "battery", lambda found: {**found, "storage": {**found["storage"], "soc_pct": 0}})


@broken("least-times-kept")
def changes_as_often_as_it_is_asked(seams: Seams) -> None:
    """It declares a hold and leaves it to the hub."""
    seams.attribute(Part, "_hold_back", lambda self, now_s: None)  # noqa: ARG005


@broken("least-times-kept", variant="forgets", also=("flexibility-agrees-with-state",))
def forgets_what_it_held_back(seams: Seams) -> None:
    """What was asked while the hold ran is never done."""
    hold_back = Part._hold_back  # noqa: SLF001

    def forgetful(self: Part, now_s: float) -> None:
        hold_back(self, now_s)
        if self.element.id == "heat":
            self.due_s = float("inf")

    seams.attribute(Part, "_hold_back", forgetful)


@broken("maker-side-door", also=("counter-matches-power", "stream-notable-change", "policy-schedule"))
def has_a_boost_button(seams: Seams) -> None:
    """The maker's own app makes the battery give more than is allowed, for a moment now and then."""

    def boost(state: Any) -> Any:
        battery = state["elements"]["battery"]
        if state["uptime_ms"] // 1000 % 7 != 0:
            return state
        limit_w = battery["limit"]["consume_max_w"]
        too_much = {**battery, "ac_measure": {"power_w": limit_w + 900}}
        return {**state, "control_source": "local", "elements": {**state["elements"], "battery": too_much}}

    seams.on_state(boost)
