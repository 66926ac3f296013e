from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from ores import tariff as t

DATA = Path(os.environ.get("ORES_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"no data at {DATA}; set ORES_DATA")
    return DATA


@pytest.fixture(scope="session")
def document(data: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((data / "tariffs" / "tariffs.json").read_text())
    return read


@pytest.fixture(scope="session")
def published(document: dict[str, Any]) -> dict[str, t.Tariff]:
    return t.tariffs(document)


Starts = NDArray[np.datetime64]


@pytest.fixture(scope="session")
def from_local() -> Callable[..., Starts]:
    """Starts of `count` intervals from a local time on, as instants."""

    def make(local: str, zone: str, count: int, minutes: int = 60) -> Starts:
        first = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
        utc = np.datetime64(first.astimezone(ZoneInfo("UTC")).replace(tzinfo=None), "s")
        return utc + np.arange(count) * np.timedelta64(minutes, "m")

    return make


@pytest.fixture(scope="session")
def make() -> Callable[..., t.Tariff]:
    """A tariff with a flat price of 0.20 EUR and what is given besides."""

    def tariff(**fields: object) -> t.Tariff:
        zone = fields.pop("zone", None)
        base = {"id": "test", "currency": "EUR", "time_zone": "Europe/Berlin", "rates": [{"import": 0.2}]}
        if "charges" in fields:
            base.pop("rates")
        assert zone is None or isinstance(zone, str)
        return t.tariff(base | fields, zone=zone)

    return tariff
