"""A home made up for the tests of the backtest: sun at noon, a peak in the evening, days that differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ores import tariff
from ores.backtest.homes import Recording
from ores.backtest.policies import Case
from ores.ems.inputs import Battery

START_S = 1_472_428_800  # Monday, 2016-08-29: a month ends on the third day
BATTERY = Battery(capacity_kwh=10.0, soc_pct=0.0, charge_max_kw=4.0, discharge_max_kw=4.0)

TOU = {
    "id": "tou", "currency": "EUR", "time_zone": "Europe/Berlin", "export": 0.08,
    "rates": [{"from": "17:00", "to": "21:00", "import": 0.5}, {"import": 0.2}],
}  # fmt: skip
DEMAND = TOU | {"id": "demand", "demand": [{"name": "peak", "minutes": 60, "price": 8}]}
DAYS = TOU | {
    "id": "days",
    "demand": [{"name": "peak", "minutes": 60, "top_days": 3, "steps": [
        {"above_kw": 0, "fee": 10}, {"above_kw": 2, "fee": 30}, {"above_kw": 5, "fee": 90}]}],
}  # fmt: skip


def recording(days: int, *, seed: int = 1, hours: float = 1.0) -> Recording:
    """Some days of a home."""
    count = round(days * 24 / hours)
    noise = np.random.default_rng(seed)
    hour = np.arange(count) * hours % 24.0
    clouds = np.repeat(noise.uniform(0.2, 1.0, days), count // days)
    pv = np.maximum(0.0, 4.0 * np.sin((hour - 6.0) / 12.0 * np.pi)) * clouds
    load = 0.3 + 1.5 * np.exp(-((hour - 19.0) ** 2) / 4.0) * noise.uniform(0.5, 1.5, count)
    start_s = START_S + np.arange(count) * round(hours * 3600)
    return Recording("made", start_s, False, hours, load * hours, pv * hours, 0)


def case(document: dict[str, object], home: Recording, battery: Battery = BATTERY) -> Case:
    """The home at a tariff, by its own clock."""
    one = tariff.tariff(document | {"time_zone": "UTC"})
    laid = tariff.schedule(one, home.start_s.astype("datetime64[s]"), hours=home.hours)
    return Case(home, laid, battery)


def tariff_file(folder: Path, *documents: dict[str, object]) -> Path:
    """A file with these tariffs."""
    path = folder / "tariffs.json"
    path.write_text(json.dumps({"tariffs": list(documents)}))
    return path
