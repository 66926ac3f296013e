"""Modules that announce themselves wrongly."""

from __future__ import annotations

from typing import Any

from zeroconf.asyncio import AsyncServiceInfo

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.link import discovery


def _announced(seams: Seams, **changes: Any) -> None:
    """Change what is announced; a value may be a function of the right one."""

    def made(service: str, instance: str, **fields: Any) -> Any:
        for name, change in changes.items():
            fields[name] = change(fields[name])
        return AsyncServiceInfo(service, instance, **fields)

    seams.attribute(discovery, "AsyncServiceInfo", made)


@broken("discovery-announced")
def announces_another_port(seams: Seams) -> None:
    """That of its web page."""
    _announced(seams, port=lambda port: port ^ 1)


@broken(
    "discovery-announced",
    variant="silent",
    also=("discovery-txt", "discovery-instance-name", "discovery-goodbye", "announcement-tells-little"),
)
def announces_nothing(seams: Seams) -> None:
    """Its address is on the label."""
    seams.options["announced"] = False


@broken("discovery-txt")
def writes_its_fingerprint_in_capitals(seams: Seams) -> None:
    """It is a number, after all."""
    _announced(seams, properties=lambda found: {**found, "fp": found["fp"].upper()})


@broken("discovery-instance-name")
def is_called_by_its_model_alone(seams: Seams) -> None:
    """As its neighbour of the same model."""
    seams.attribute(
        discovery, "_instance", lambda name, module_id: f"{name} {module_id[:4]}.{discovery.SERVICE}"
    )


@broken("announcement-tells-little")
def tells_the_street_its_serial_number(seams: Seams) -> None:
    """The maker's hotline asks for it."""
    _announced(seams, properties=lambda found: {**found, "name": "Whole 2041-7731"})
