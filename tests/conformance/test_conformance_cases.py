"""The cases that a module has to refuse are wrong, each for what it is about and for nothing else."""

from __future__ import annotations

import json

import pytest

from ores.conformance.check import Failed
from ores.conformance.checks.cases import Case, cases
from ores.conformance.standard import Standard
from ores.conformance.wire import ijson

STANDARD = Standard()
LEASE = {"epoch": 3, "seq": 7, "boot_id": "9f86d081884c7d65", "uptime_ms": 86_400_123}


def of(file: str, *demands: str) -> list[pytest.param]:
    """Each case of a file, by its name."""
    return [pytest.param(case, id=case.name) for one in demands for case in cases(STANDARD, file, one)]


def wrong(case: Case) -> str | None:
    message = json.loads(case.filled(LEASE, "battery"))
    return STANDARD.wrong(message, "lease", "Lease")


@pytest.mark.parametrize("case", of("refused_leases", "LEASE-010"))
def test_a_field_that_nobody_knows_is_all_that_is_wrong(case):
    assert "unexpected" in wrong(case)


@pytest.mark.parametrize("case", of("refused_leases", "LEASE-011"))
def test_a_number_out_of_its_range_is_all_that_is_wrong(case):
    assert any(word in wrong(case) for word in ("minimum", "maximum"))


@pytest.mark.parametrize("case", of("refused_leases", "MSG-004"))
def test_a_doubled_key_is_all_that_is_wrong(case):
    assert wrong(case) is None
    with pytest.raises(Failed, match="twice"):
        ijson.read(case.filled(LEASE, "battery"))


@pytest.mark.parametrize("case", of("bad_frames", "STREAM-012"))
def test_a_bad_frame_is_no_command(case):
    try:
        message = ijson.read(case.filled(LEASE, "battery"))
    except Failed:
        return
    assert STANDARD.wrong(message, "stream", "ToModule") is not None


def test_what_stands_for_the_moment_makes_a_lease_that_counts():
    case = Case("a good one", "", None, '{${fields},"ttl_s":5,"elements":{"${element}":{}}}')
    assert wrong(case) is None
