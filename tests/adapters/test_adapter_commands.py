"""`ores adapter serve` and `ores scan`, as a person runs them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.adapters.commands import ORES, ROOT, adapted, played, run

from ores.adapters.scan import hosts_of
from ores.cli.adapter_run import address_of
from ores.link.errors import ConfigError


def test_an_adapted_device_is_found_shown_and_let_go(tmp_path: Path) -> None:
    with played("devices", "inverter") as port:
        found = json.loads(run("scan", "127.0.0.1", "--port", str(port), "--json").stdout)
        assert [(one["maker"], one["serial"], one["can"]) for one in found] == [
            ("Voltarn", "V-0042", ["can be limited"])
        ]
        assert found[0]["elements"] == ["inverter", "string_1", "string_2"]
        with adapted("sunspec", port=port, directory=tmp_path) as said:
            assert said["code"].startswith("ORES-")
        with adapted("sunspec", port=port, directory=tmp_path) as again:
            assert again["id"] == said["id"]
    assert (tmp_path / "sunspec.json").exists()


def test_nobody_at_the_address_is_said_in_a_sentence(tmp_path: Path) -> None:
    with played("devices", "meter") as port:
        pass
    said = run("adapter", "serve", "sunspec", f"127.0.0.1:{port}", "--data", str(tmp_path))
    assert (said.returncode, said.stderr) == (3, f"ores: 127.0.0.1:{port}: no connection\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["smoke", "host"], "protocol"),
        (["sunspec", "host:99999"], "port"),
        (["sunspec", "host", "--conductor", "L4"], "conductor"),
    ],
)
def test_what_is_wrong_in_a_command_is_named(arguments: list[str], why: str, tmp_path: Path) -> None:
    said = run("adapter", "serve", *arguments, "--data", str(tmp_path))
    assert said.returncode == 2
    assert said.stderr.startswith(f"ores: {why}: found")


@pytest.mark.parametrize(
    ("said", "host", "port"),
    [
        ("192.168.1.9", "192.168.1.9", 502),
        ("inverter.local:1502", "inverter.local", 1502),
        ("[fe80::1]:503", "fe80::1", 503),
        ("fe80::1", "fe80::1", 502),
        ("[fe80::1]", "fe80::1", 502),
    ],
)
def test_an_address_is_read_as_people_write_it(said: str, host: str, port: int) -> None:
    assert address_of(said) == (host, port)


@pytest.mark.parametrize("network", ["8.8.8.0/24", "10.0.0.0/8", "house/24"])
def test_only_a_private_network_is_looked_through(network: str) -> None:
    with pytest.raises(ConfigError, match="network"):
        hosts_of(network)


def test_a_network_is_looked_at_host_by_host() -> None:
    assert hosts_of("192.168.1.8/30") == ["192.168.1.9", "192.168.1.10"]
    assert hosts_of("inverter.local") == ["inverter.local"]


@pytest.mark.kit
@pytest.mark.parametrize(
    ("name", "profile", "options"),
    [
        ("meter", "meter", ["--connection-point"]),
        ("battery", "storage", ["--control"]),
        ("inverter", "gateway", ["--control"]),
        ("inverter", "micro_inverter", ["--control"]),
        ("hybrid", "gateway", ["--control", "--capacity-wh", "10000"]),
    ],
)
def test_an_adapted_device_conforms(name: str, profile: str, options: list[str], tmp_path: Path) -> None:
    with (
        played("devices", name) as port,
        adapted("sunspec", port=port, directory=tmp_path / "state", options=options) as said,
    ):
        judge = [
            *ORES,
            "conform",
            f"https://localhost:{said['port']}",
            "--code",
            said["code"],
            "--profile",
            profile,
        ]
        judged = subprocess.run(judge, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert judged.returncode == 0, judged.stdout[-5000:]
    assert "conforms to ORES 1.0" in judged.stdout
