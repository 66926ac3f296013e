"""Recorded homes as a source: what was metered is what flows, interval by interval.

A file is a Parquet table with one row per interval, labelled by the start of the interval in a column
`start_local` or `start_utc`. Series are named `[HOME_]load_UNIT` and `[HOME_]pv_UNIT` with UNIT `kwh` (per
interval), `kw` or `w` (means); `HOME_kwh` is a load. A file without home names holds one home, called "home".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.physics.exogenous import Exogenous
from ores.sim.physics.weather import outdoor_c

Floats = NDArray[np.float64]
Gaps = Literal["error", "fill"]

ONLY = "home"
"""Name of the home in a file that names none."""
_SERIES = re.compile(r"^(?:(?P<home>.+)_)?(?P<what>load|pv)_(?P<unit>kwh|kw|w)$|^(?P<bare>.+)_kwh$")
_BRIGHT_W_M2 = 900.0
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Recording:
    """One series on a regular grid of intervals.

    Attributes:
        name: Of its column, for messages.
        start_s: Start of the first interval, s since the epoch on the file's own clock.
        interval_s: Length of one.
        mean: Mean of each interval; NaN where nothing was recorded.
    """

    name: str
    start_s: float
    interval_s: float
    mean: Floats

    def over(self, start_s: float, period_s: float, periods: int) -> Floats:
        """Means over periods, shape (periods,); the integral over every recorded interval is kept.

        Raises:
            ScenarioError: Outside of the recording, or nothing was recorded there.
        """
        begin = (start_s - self.start_s) / self.interval_s
        step = period_s / self.interval_s
        end = begin + step * periods
        if begin < -1e-9 or end > len(self.mean) + 1e-9:
            raise ScenarioError(
                f"{self.name}: asked for {_show(start_s)} to {_show(start_s + period_s * periods)}, "
                f"recorded: {_show(self.start_s)} to {_show(self.start_s + self.interval_s * len(self.mean))}"
            )
        first, last = max(int(begin + 1e-9), 0), min(int(np.ceil(end - 1e-9)), len(self.mean))
        part = self.mean[first:last]
        if np.isnan(part).any():
            at = self.start_s + (first + int(np.flatnonzero(np.isnan(part))[0])) * self.interval_s
            raise ScenarioError(
                f"{self.name}: nothing recorded at {_show(at)}; allowed: numbers (or gaps='fill')"
            )
        edges = begin + step * np.arange(periods + 1) - first
        inside = np.floor(edges[:-1] + 1e-9).astype(np.int64)
        if (edges[1:] <= inside + 1 + 1e-9).all():
            return np.asarray(part[inside], dtype=np.float64)
        total = np.concatenate([[0.0], np.cumsum(part)])
        return np.asarray(np.diff(np.interp(edges, np.arange(len(total)), total)) / step, dtype=np.float64)


def _show(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class _Table:
    """A file as read: its clock and its numeric columns."""

    path: Path
    is_utc: bool
    start_s: float
    interval_s: float
    columns: dict[str, Floats]


def _read(path: Path) -> _Table:
    if not path.is_file():
        raise ScenarioError(f"replay: found no file {path}, allowed: a Parquet file")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ScenarioError(f"replay: {path.name} cannot be read as Parquet: {error}") from error
    clock = next((c for c in ("start_utc", "start_local") if c in table.column_names), None)
    if clock is None:
        raise ScenarioError(
            f"replay: {path.name} has the columns {', '.join(table.column_names)}; "
            "needed: start_utc or start_local"
        )
    stamps = table.column(clock).cast(pa.timestamp("s", "UTC" if clock == "start_utc" else None))
    second = stamps.cast(pa.int64()).to_numpy().astype(np.float64)
    steps = np.diff(second)
    if len(second) < 2 or steps.min() <= 0.0:
        raise ScenarioError(f"replay: {path.name}: {clock} must hold two or more rising times")
    interval = float(steps.min())
    slots = np.rint((second - second[0]) / interval).astype(np.int64)
    columns: dict[str, Floats] = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if name == clock or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            continue
        # Rows that the file leaves out (stopped recorders, clock changes) are gaps like any other.
        grid = np.full(int(slots[-1]) + 1, np.nan)
        grid[slots] = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        columns[name] = grid
    return _Table(path, clock == "start_utc", float(second[0]), interval, columns)


def _series(table: _Table) -> dict[str, dict[str, tuple[str, float]]]:
    """Column and factor to watts, by home and by "load" or "pv"."""
    factor = {"kwh": 3.6e6 / table.interval_s, "kw": 1000.0, "w": 1.0}
    found: dict[str, dict[str, tuple[str, float]]] = {}
    for name in table.columns:
        match = _SERIES.match(name)
        if match is None:
            continue
        home = match["bare"] or match["home"] or ONLY
        what, unit = (match["what"] or "load"), (match["unit"] or "kwh")
        found.setdefault(home, {})[what] = (name, factor[unit])
    return {home: series for home, series in found.items() if "load" in series}


def homes_in(path: Path) -> tuple[str, ...]:
    """Names of the homes in a file.

    Raises:
        ScenarioError: It cannot be read, or it has no times.
    """
    return tuple(_series(_read(path)))


def starting(config: HouseConfig, path: Path, after: timedelta = timedelta(0)) -> HouseConfig:
    """The configuration with its start moved to the first recorded interval, or some time after it."""
    table = _read(path)
    offset = 0.0 if table.is_utc else config.site.utc_offset_h
    zone = timezone(timedelta(hours=offset))
    begin = datetime.fromtimestamp(table.start_s, UTC).replace(tzinfo=zone) + after
    return replace(config, site=replace(config.site, start=begin.astimezone(UTC)))


def without_car_and_heat(config: HouseConfig) -> HouseConfig:
    """The same home with car and heat pump at rest: a recorded load already holds the home's own."""
    still = replace(config.heat_pump, rating_w=0.0, standby_w=0.0)
    parked = replace(config.vehicle, commutes=False, battery=replace(config.vehicle.battery, charge_w=0.0))
    return replace(config, heat_pump=still, vehicle=parked)


class Replay:
    """A `Source` that plays recorded homes.

    The load goes to the circuits in equal parts but for `unmetered_share`, the recorded photovoltaic power to
    the arrays in proportion to their size; both keep the energy of every interval. Recorded output counts as
    available direct current, output below zero (inverters at night) as 0. Temperature comes from the weather
    file, or where there is none from the generator; irradiance is the recorded output over its maximum, times
    900 W/m².

    Args:
        config: Of the homes; its `site.start` says which instant is played first (see `starting`).
        path: The Parquet file.
        homes: Names, as in `homes_in`; the columns of the arrays are in this order.
        seed: Of what is not recorded (temperature without a file, car, voltage).
        gaps: "error" refuses intervals without data when they come up. "fill" takes 0 for photovoltaic power,
            whose recorders sleep at night, and for the load the same time on the day before, else the day
            after, and so on for two days and a week.
        weather: Parquet with `temp_c`; by default `*weather*.parquet` beside it with the same first word.
        unmetered_share: Part of the load behind no metered circuit, 0 to 1.
    """

    def __init__(
        self,
        config: HouseConfig,
        path: Path,
        homes: Sequence[str] = (ONLY,),
        *,
        seed: int = 1,
        gaps: Gaps = "error",
        weather: Path | None = None,
        unmetered_share: float = 0.15,
    ) -> None:
        if gaps not in ("error", "fill"):
            raise ScenarioError(f"gaps: found {gaps!r}, allowed: 'error' or 'fill'")
        if not 0.0 <= unmetered_share <= 1.0:
            raise ScenarioError(f"unmetered_share: found {unmetered_share!r}, allowed: 0 to 1")
        table = _read(path)
        known = _series(table)
        unknown = [home for home in homes if home not in known]
        if unknown or not homes:
            raise ScenarioError(
                f"home: found {', '.join(unknown) or 'none'} for {path.name}, allowed: "
                f"{', '.join(known) or 'nothing, no column is named like h01_load_kwh, load_kw or load_w'}"
            )
        self.seed = seed
        self.homes: NDArray[np.int64] = np.arange(len(homes), dtype=np.int64)
        self._config = config
        self._load = [_recording(table, *known[home]["load"], gaps=gaps) for home in homes]
        self._pv = [_pv(table, known[home].get("pv"), gaps) for home in homes]
        self._bright_w = [1.0 if pv is None else max(float(np.nanmax(pv.mean)), 1.0) for pv in self._pv]
        self._weather = _weather(path, weather)
        begin = config.site.start.timestamp()
        self._begin_s = begin if table.is_utc else begin + config.site.utc_offset_h * 3600.0
        circuits = len(config.circuits)
        self._parts = np.append(np.full(circuits, (1.0 - unmetered_share) / circuits), unmetered_share)
        peak = np.array([array.peak_w for array in config.arrays])
        if not peak.sum():
            raise ScenarioError(
                "HouseConfig.arrays: found 0 W of modules, allowed: some peak_w to give the sun to"
            )
        self._arrays = peak / peak.sum()
        self._load[0].over(self._begin_s, table.interval_s, 1)

    @property
    def duration_s(self) -> float:
        """From the start of the run to the end of the recording."""
        load = self._load[0]
        return load.start_s + load.interval_s * len(load.mean) - self._begin_s

    def block(self, start_s: float, period_s: float, periods: int) -> Exogenous:
        """See `Source.block`; the last block ends with the recording."""
        begin = self._begin_s + start_s
        periods = min(periods, max(int((self.duration_s - start_s) / period_s + 1e-9), 1))
        load = np.stack([r.over(begin, period_s, periods) for r in self._load], axis=-1)
        none = np.zeros(periods)
        pv = np.stack([none if r is None else r.over(begin, period_s, periods) for r in self._pv], axis=-1)
        return Exogenous(
            load_w=load[:, None, :] * self._parts[:, None],
            pv_dc_w=pv[:, None, :] * self._arrays[:, None],
            outdoor_c=self._air(begin, period_s, periods),
            irradiance_w_m2=pv / np.array(self._bright_w) * _BRIGHT_W_M2,
        )

    def _air(self, begin_s: float, period_s: float, periods: int) -> Floats:
        if self._weather is not None:
            return np.repeat(self._weather.over(begin_s, period_s, periods)[:, None], len(self.homes), axis=1)
        middle = begin_s + (np.arange(periods, dtype=np.float64) + 0.5) * period_s
        return outdoor_c(self.seed, self.homes, middle, self._config.site)


def _recording(table: _Table, name: str, factor: float, *, gaps: Gaps) -> Recording:
    mean = table.columns[name] * factor
    if (mean < 0.0).any():
        at = table.start_s + int(np.flatnonzero(mean < 0.0)[0]) * table.interval_s
        raise ScenarioError(f"{name}: found a negative load at {_show(at)}, allowed: 0 or more")
    if gaps == "fill":
        day = round(_DAY_S / table.interval_s)
        for shift in (day, -day, 2 * day, -2 * day, 7 * day, -7 * day):
            other = np.full_like(mean, np.nan)
            if 0 < shift < len(mean):
                other[shift:] = mean[:-shift]
            elif 0 < -shift < len(mean):
                other[:shift] = mean[-shift:]
            mean = np.where(np.isnan(mean), other, mean)
    return Recording(f"{table.path.name}: {name}", table.start_s, table.interval_s, mean)


def _pv(table: _Table, found: tuple[str, float] | None, gaps: Gaps) -> Recording | None:
    if found is None:
        return None
    name, factor = found
    # Maximum keeps NaN, so that a gap stays one.
    mean = np.maximum(table.columns[name] * factor, 0.0)
    if gaps == "fill":
        mean = np.nan_to_num(mean, nan=0.0)
    return Recording(f"{table.path.name}: {name}", table.start_s, table.interval_s, mean)


def _weather(path: Path, weather: Path | None) -> Recording | None:
    """Temperature of the given file, or of one beside the recording."""
    if weather is None:
        word = re.split(r"[\d_]", path.name)[0]
        beside = sorted(path.parent.glob(f"{word}*weather*.parquet")) if word else []
        if not beside:
            return None
        weather = beside[0]
    table = _read(weather)
    if "temp_c" not in table.columns:
        raise ScenarioError(f"weather: {weather.name} has {', '.join(table.columns)}; needed: temp_c")
    return Recording(f"{weather.name}: temp_c", table.start_s, table.interval_s, table.columns["temp_c"])
