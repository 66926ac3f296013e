"""`ores adapter serve template`, `ores adapter try` and `ores adapter templates`, as a person runs them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import Result
from pymodbus import FramerType
from tests.adapters.commands import ORES, ROOT, adapted, played, run
from typer.testing import CliRunner

from ores.adapters.modbus import ModbusSerial, ModbusTcp, Rejected
from ores.adapters.templates.found import NotThisDevice
from ores.adapters.templates.parse import shipped
from ores.cli.adapter import adapters
from ores.cli.adapter_run import Line, registers_at
from ores.link.clock import RealClock
from ores.link.errors import ConfigError


def within(*arguments: str) -> Result:
    """A command that ends by itself, in this process."""
    return CliRunner().invoke(adapters, arguments)


def test_a_device_is_recognised_tried_served_and_let_go(tmp_path: Path) -> None:
    with played("image", "carlo-gavazzi-em24") as port:
        found = json.loads(run("scan", "127.0.0.1", "--port", str(port), "--json").stdout)
        assert [(one["template"], one["serial"], one["elements"]) for one in found] == [
            ("carlo-gavazzi-em24", "KV1234567890A", ["meter"])
        ]
        tried = run("adapter", "try", "carlo-gavazzi-em24", f"127.0.0.1:{port}", "--once", "--json")
        assert json.loads(tried.stdout)["elements"]["meter"]["ac_measure"]["power_w"] == 934.5
        with adapted("template", "carlo-gavazzi-em24", port=port, directory=tmp_path) as said:
            assert said["code"].startswith("ORES-")
        with adapted("template", "carlo-gavazzi-em24", port=port, directory=tmp_path) as again:
            assert again["id"] == said["id"]
    assert (tmp_path / "template.json").exists()


def test_a_device_is_reached_as_its_owner_says() -> None:
    usual = shipped("heidelberg-energy-control").transport
    at = {"unit": 1, "clock": RealClock(), "usual": usual}
    assert isinstance(registers_at("10.0.0.9", Line(), **at), ModbusTcp)
    assert registers_at("10.0.0.9:1502", Line(rtu=True), **at)._framer == FramerType.RTU
    assert registers_at("10.0.0.9", Line(logger=1_712_345_678), **at)._port == 8899
    serial = registers_at("/dev/ttyUSB0", Line(), **at)
    assert isinstance(serial, ModbusSerial)
    assert serial._line == ("/dev/ttyUSB0", 19_200, "E", 1)
    assert registers_at("/dev/ttyUSB0", Line(baud=9600, parity="none"), **at)._line[1:3] == (9600, "N")
    with pytest.raises(ConfigError, match="parity"):
        registers_at("/dev/ttyUSB0", Line(parity="mark"), **at)


def test_another_device_than_the_template_is_told(tmp_path: Path) -> None:
    with played("image", "carlo-gavazzi-em24") as port:
        where = ["template", "victron-gx", f"127.0.0.1:{port}", "--unit", "1", "--data", str(tmp_path)]
        assert isinstance(within("serve", *where).exception, Rejected | NotThisDevice)


def test_templates_are_listed_with_what_they_ask() -> None:
    listed = json.loads(within("templates", "--json").stdout)
    told = {"name": "victron-gx", "title": "Victron GX", "maker": "Victron Energy"}
    assert told.items() <= listed[-1].items()
    asked = json.loads(within("templates", "solax-x-g4", "--json").stdout)
    assert asked["required"] == ["rated_w"]
    assert "SolaX" in within("templates").stdout
    assert "rated_w" in within("templates", "solax-x-g4").stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["template", "eastron-sdm630"], "arguments"),
        (["template", "eastron-sdm63", "host"], "template"),
        (["template", "solax-x-g4", "host"], "rated_w"),
        (["template", "solax-x-g4", "host", "--set", "rated_w=1"], "rated_w"),
        (["template", "eastron-sdm630", "host", "--conductor", "L9"], "conductor"),
        (["template", "eastron-sdm630", "host", "--parity", "mark"], "parity"),
        (["sunspec", "here", "there"], "arguments"),
    ],
)
def test_what_is_wrong_in_a_command_is_named(arguments: list[str], why: str, tmp_path: Path) -> None:
    error = within("serve", *arguments, "--data", str(tmp_path)).exception
    assert isinstance(error, ConfigError)
    assert error.detail.startswith(f"{why}: found")


@pytest.mark.kit
@pytest.mark.parametrize(
    ("name", "profile", "options"),
    [
        ("eastron-sdm630", "meter", ["--connection-point"]),
        ("sungrow-sh", "hybrid", ["--control"]),
        ("huawei-sun2000", "gateway", ["--control"]),
        ("alfen-eve", "ev_charger", ["--control"]),
        ("keba-p30", "ev_charger", ["--control"]),
    ],
)
def test_a_device_by_its_template_conforms(
    name: str, profile: str, options: list[str], tmp_path: Path
) -> None:
    with (
        played("image", name) as port,
        adapted("template", name, port=port, directory=tmp_path / "state", options=options) as said,
    ):
        where = [f"https://localhost:{said['port']}", "--code", said["code"], "--profile", profile]
        command = [*ORES, "conform", *where]
        judged = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert judged.returncode == 0, judged.stdout[-5000:]
    assert "conforms to ORES 1.0" in judged.stdout
