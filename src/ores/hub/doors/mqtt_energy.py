"""Energy as it is told over MQTT: one counter for each direction, which never falls.

An element's counter is its own, moved where it has begun anew. The house's counters add up how those of its
parts have risen, so that a part that comes or goes moves nothing. Of a part that does not count its power is
summed instead; of a gap then nothing is known, and nothing is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from ores.control.topology import Place, Topology
from ores.hub.doors.mqtt_entities import HOUSE, UNKNOWN, Entity, has_sun, number, power_of, sensor, topic_of
from ores.hub.notices import Notices
from ores.hub.state_dir import StateDir
from ores.link.errors import ConfigError
from ores.model import Description, ElementState, Energy

FILE: Final = "mqtt.json"
SAVE_S: Final = 900.0
"""Between two times that counters of devices are kept: flash wears out, and what they count is not lost."""
SUMMED_S: Final = 60.0
"""The same for what is summed here; it is told as it was kept, so that no power cut makes it fall."""
GAP_MAX_S: Final = 10.0
"""Between two powers that are farther apart nobody knows what flowed."""
NOTICE: Final = "mqtt_counters_not_kept"


class Counted(msgspec.Struct, frozen=True):
    """Where a counter of an element stands.

    Attributes:
        epoch: Of the device's counter.
        raw_wh: What it showed last.
        told_wh: What was told of it.
    """

    epoch: int
    raw_wh: float
    told_wh: float


class Kept(msgspec.Struct, frozen=True):
    """What survives a restart.

    Attributes:
        counted: By topic, of elements.
        house_wh: By topic, of the house.
    """

    counted: dict[str, Counted] = {}
    house_wh: dict[str, float] = {}


class Part(msgspec.Struct, frozen=True):
    """A counter of the house, and what it is made of.

    Attributes:
        topic: Of the house's counter.
        name: For people.
        out: Whether what flows out (negative) is counted.
        counted: Topics of the counters of its parts.
        summed: `module/element` of the parts that do not count.
    """

    topic: str
    name: str
    out: bool
    counted: tuple[str, ...]
    summed: tuple[str, ...]


def house_parts(topology: Topology, descriptions: Sequence[Description]) -> list[Part]:
    """The counters of the house; a home without a battery has none for it."""

    def part(point: str, name: str, keys: Sequence[str], *, out: bool) -> Part:
        return part_of(f"{HOUSE}/{point}", name, keys, descriptions, out=out)

    found = []
    if topology.meter is not None and not topology.rivals:
        grid = [topology.meter.key]
        found.append(part("grid_import_kwh", "Grid import", grid, out=False))
        found.append(part("grid_export_kwh", "Grid export", grid, out=True))
    if has_sun(topology):
        found.append(part("solar_kwh", "Solar production", _suns(topology), out=True))
    if topology.stores:
        stores = _keys(topology.stores)
        found.append(part("battery_charged_kwh", "Battery charged", stores, out=False))
        found.append(part("battery_discharged_kwh", "Battery discharged", stores, out=True))
    return found


def part_of(
    topic: str, name: str, keys: Sequence[str], descriptions: Sequence[Description], *, out: bool
) -> Part:
    """A counter of the house, made of these elements (`module/element`)."""
    counting = {
        f"{description.id}/{one.id}"
        for description in descriptions
        for one in description.elements
        if one.capabilities.energy is not UNSET
    }
    end = "energy_out_kwh" if out else "energy_in_kwh"
    counted = tuple(f"{key}/{end}" for key in keys if key in counting)
    return Part(topic, name, out, counted, tuple(key for key in keys if key not in counting))


def _keys(places: Sequence[Place]) -> list[str]:
    return [place.key for place in places]


def _suns(topology: Topology) -> list[str]:
    """Inverters with sun alone, and the strings of those that also carry a store."""
    behind = [
        f"{key.split('/')[0]}/{sun}" for key, (suns, _) in sorted(topology.inverters.items()) for sun in suns
    ]
    return [*_keys(topology.suns), *behind]


def house_entities(parts: Sequence[Part]) -> Iterator[Entity]:
    """One for each counter of the house."""
    for part in parts:
        yield sensor("energy_kwh", part.topic, part.name)


class Totals:
    """All counters.

    Args:
        directory: Keeps them.
        notices: Learn of a file that is damaged, or cannot be written.
        file: Where; each door keeps its own.
    """

    def __init__(self, directory: StateDir, notices: Notices, file: str = FILE) -> None:
        self._directory: Final = directory
        self._notices: Final = notices
        self._file: Final = file
        kept = directory.load(file, Kept, lambda code, text: _tell(notices, code, text)) or Kept()
        self._counted: Final = dict(kept.counted)
        self._house_wh: Final = dict(kept.house_wh)
        self._summed_wh: Final[dict[str, float]] = {}
        self._parts: Sequence[Part] = ()
        self._now: dict[str, float | None] = {}
        self._last: tuple[float, Mapping[str, ElementState]] | None = None
        self._saved_at_s: float | None = None

    def describe(self, parts: Sequence[Part]) -> None:
        """What the house is made of now."""
        self._parts = parts

    def look(self, states: Mapping[str, ElementState], now_s: float) -> None:
        """Take what the house says now.

        Args:
            states: By `module/element`; those that are not known now are absent.
            now_s: Process time.
        """
        before = {topic: one.told_wh for topic, one in self._counted.items()}
        self._now = {}
        anew = False
        for key, state in states.items():
            if state.energy is not UNSET:
                anew |= self._take(key, state.energy)
        for part in self._parts:
            self._add(part, before)
            self._sum(part, states, now_s)
        self._last = (now_s, states)
        every_s = SUMMED_S if any(part.summed for part in self._parts) else SAVE_S
        if self._saved_at_s is None:
            self._saved_at_s = now_s
        elif anew or now_s - self._saved_at_s >= every_s:
            self._saved_at_s = now_s
            self.save()

    def values(self, descriptions: Sequence[Description]) -> dict[str, str]:
        """What to tell now, by topic, in kWh; an element that is not known now is not."""
        told = {}
        for description in descriptions:
            for one in description.elements:
                if one.capabilities.energy is not UNSET:
                    for point in ("energy_in_kwh", "energy_out_kwh"):
                        topic = topic_of(description.id, one.id, point)
                        told[topic] = kwh(self._now.get(topic))
        for part in self._parts:
            told[part.topic] = kwh(self._house_wh.get(part.topic))
        return told

    def known_wh(self) -> dict[str, float]:
        """All that is known now, in Wh, by topic, of elements as of the house."""
        own = {topic: told_wh for topic, told_wh in self._now.items() if told_wh is not None}
        return own | {
            part.topic: wh for part in self._parts if (wh := self._house_wh.get(part.topic)) is not None
        }

    def save(self) -> None:
        """Keep them; where that fails they go on, and somebody is told."""
        for topic, summed_wh in self._summed_wh.items():
            self._house_wh[topic] = self._house_wh.get(topic, 0.0) + summed_wh
        self._summed_wh.clear()
        try:
            self._directory.save(self._file, Kept(self._counted, self._house_wh))
        except ConfigError as error:
            self._notices.raise_(NOTICE, error.detail)
        else:
            self._notices.clear(NOTICE)

    def _take(self, key: str, energy: Energy) -> bool:
        """Both counters of an element; whether one of them has begun anew."""
        anew = False
        epoch = energy.counter_epoch
        for point, raw_wh in (
            ("energy_in_kwh", energy.energy_in_wh),
            ("energy_out_kwh", energy.energy_out_wh),
        ):
            topic = f"{key}/{point}"
            if raw_wh is None:
                self._now[topic] = None
                continue
            last = self._counted.get(topic)
            if last is None:
                told_wh = raw_wh
            elif epoch == last.epoch:
                raw_wh = max(raw_wh, last.raw_wh)  # noqa: PLW2901  within an epoch none falls [CAP-003]
                told_wh = last.told_wh + raw_wh - last.raw_wh
            else:
                told_wh, anew = last.told_wh, True
            self._counted[topic] = Counted(epoch, raw_wh, told_wh)
            self._now[topic] = told_wh
        return anew

    def _add(self, part: Part, before: Mapping[str, float]) -> None:
        """What its parts have counted since the last look; what is not known now comes when it is."""
        risen_wh = 0.0
        for topic in part.counted:
            told_wh = self._now.get(topic)
            if told_wh is not None and topic in before:
                risen_wh += told_wh - before[topic]
        if part.topic in self._house_wh or any(topic in self._counted for topic in part.counted):
            self._house_wh[part.topic] = self._house_wh.get(part.topic, 0.0) + risen_wh

    def _sum(self, part: Part, states: Mapping[str, ElementState], now_s: float) -> None:
        """What has flowed since the last look through the parts that do not count."""
        if self._last is None or now_s - self._last[0] > GAP_MAX_S:
            return
        since_s, before = now_s - self._last[0], self._last[1]
        for key in part.summed:
            if key not in states or key not in before:
                continue
            power_w, before_w = power_of(states[key]), power_of(before[key])
            if power_w is None or before_w is None:
                continue
            mean_w = (power_w + before_w) / 2.0
            self._house_wh.setdefault(part.topic, 0.0)
            flown_wh = max(0.0, -mean_w if part.out else mean_w) * since_s / 3600.0
            self._summed_wh[part.topic] = self._summed_wh.get(part.topic, 0.0) + flown_wh


def _tell(notices: Notices, code: str, text: str) -> None:
    notices.raise_(code, text)


def kwh(energy_wh: float | None) -> str:
    """As text, to the watt-hour."""
    return UNKNOWN if energy_wh is None else number(energy_wh / 1000.0, 3)
