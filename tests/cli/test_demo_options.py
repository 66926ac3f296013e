"""What a demonstration refuses before it starts."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from pathlib import Path

import pytest

from ores.cli.demo.options import DemoOptions
from ores.link.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (DemoOptions(speed=0), "--speed"),
        (DemoOptions(speed=inf), "--speed"),
        (DemoOptions(hours=-1), "--hours"),
        (DemoOptions(headless=True), "--hours"),
        (DemoOptions(link="pigeon"), "--link"),
        (DemoOptions(link="memory"), "--headless"),
        (DemoOptions(home="h03"), "--replay"),
    ],
)
def test_a_setting_that_cannot_be_is_named(options: DemoOptions, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        options.check()


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.parquet"):
        DemoOptions(replay=tmp_path / "nowhere.parquet").scene()


def test_people_see_the_morning_and_a_headless_run_the_whole_day() -> None:
    watched, _ = DemoOptions().scene()
    headless, _ = DemoOptions(headless=True, hours=24).scene()
    assert watched.site.start - headless.site.start == timedelta(hours=10)


def test_the_home_is_judged_by_what_its_owner_agreed_to() -> None:
    options = DemoOptions(prefer=("export_max_w=0", "main_fuse_a=20", 'circuit_max_a={"panel/oven": 10}'))
    agreed = options.agreed(options.scene()[0])
    assert (agreed.export_max_w, agreed.import_max_w, agreed.fuse_a) == (0.0, inf, 20.0)
    assert agreed.circuit_max_a == {"oven": 10.0}
