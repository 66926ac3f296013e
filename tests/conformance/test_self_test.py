"""The kit judged by itself: its arithmetic; `ores conform --self-test` does it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ores.conformance.broken.sweep import argument_for, survivors_argued
from ores.conformance.self_test import Judged, Kind, SelfTest, _compare, _sum_up
from ores.conformance.self_test import Tested as Outcome
from ores.conformance.standard import Requirement
from ores.conformance.verdict import Report, Result, Status


def row(name: str, *, check: str | None = None, untestable: str | None = None, **other) -> Requirement:
    known = {"chapter": 4, "profiles": ("module",), "extended": False, "level": "MUST", "candidate": False}
    return Requirement(id=name, check=check, untestable=untestable, sentence="", **{**known, **other})


@dataclass
class Demands:
    """A standard of a few sentences."""

    rows: tuple[Requirement, ...] = ()

    @property
    def requirements(self) -> dict[str, Requirement]:
        return {one.id: one for one in self.rows}


@dataclass(frozen=True)
class Mutant:
    """A mutant as far as arithmetic goes."""

    check: str
    also: frozenset[str] = field(default=frozenset())
    name: str = "mutant"


def kind(*checks: str, broken: tuple[str, ...] = (), name: str = "module") -> Kind:
    mutants = {one: Mutant(one) for one in broken}
    return Kind(name, "", checks, mutants, lambda _judge, _at: pytest.fail("nothing is run here"))


def judgement(**statuses: str) -> Report:
    results = tuple(
        Result(check.replace("_", "-"), Status(status), obstructed=status == "fail" and check == "obstructed")
        for check, status in statuses.items()
    )
    return Report("module", {}, "", "", 0.0, {}, {}, results)


def summed(tested: Outcome, *rows: Requirement) -> SelfTest:
    return _sum_up(Demands(rows), [tested])


def test_a_sentence_with_neither_check_nor_reason_is_missing():
    found = summed(
        Outcome(kind("here", broken=("here",)), judgement(here="pass"), ()),
        row("A-001", check="here"),
        row("A-002", untestable="factory"),
        row("A-003"),
        row("A-004", check="nowhere"),
        row("A-005", check="nowhere", candidate=True),
        row("A-006", check="nowhere", profiles=("hub",)),
    )
    assert (found.requirements, found.tested, found.untestable) == (4, 1, 1)
    assert found.missing == ("A-003", "A-004")
    assert not found.good


def test_a_sentence_for_both_needs_its_check_in_both():
    both = row("A-001", check="here", profiles=("module", "hub"))
    module = Outcome(kind("here", broken=("here",)), judgement(here="pass"), ())
    hub = Outcome(kind("other", broken=("other",), name="hub"), judgement(other="pass"), ())
    rows = Demands((both, row("A-002", check="other", profiles=("hub",))))
    assert _sum_up(rows, [module, hub]).missing == ("A-001",)
    assert _sum_up(rows, [module]).missing == ()


@pytest.mark.parametrize("status", ["not_applicable", "kit_failure"])
def test_a_check_that_the_reference_never_passes_is_silent(status):
    found = summed(Outcome(kind("one", broken=("one",)), judgement(one=status), ()))
    assert found.silent == ("one",)
    assert not found.good


def test_a_check_that_no_requirement_names_is_missing_there():
    found = summed(Outcome(kind("stray", broken=("stray",)), judgement(stray="pass"), ()))
    assert found.missing == ("stray",)


def test_a_check_without_a_mutant_is_unbroken():
    found = summed(Outcome(kind("one", "two", broken=("one",)), judgement(one="pass", two="pass"), ()))
    assert found.unbroken == ("two",)
    assert not found.good


def test_a_reference_that_fails_is_not_good():
    found = summed(Outcome(kind("one", broken=("one",)), judgement(one="warn"), ()))
    assert "one" in found.reference
    assert not found.good


@pytest.mark.parametrize(
    ("statuses", "also", "killed", "others"),
    [
        ({"own": "fail", "other": "pass"}, (), True, set()),
        ({"own": "warn"}, (), True, set()),
        ({"own": "pass"}, (), False, set()),
        ({"own": "kit_failure"}, (), False, set()),
        ({"own": "not_applicable"}, (), False, set()),
        ({"own": "fail", "other": "fail"}, (), True, {"other"}),
        ({"own": "fail", "other": "fail"}, ("other",), True, set()),
        ({"own": "fail", "other": "kit_failure"}, (), True, {"other"}),
        ({"own": "fail", "other": "note"}, (), True, {"other"}),
    ],
)
def test_a_mutant_is_killed_by_its_own_check_and_by_no_other(statuses, also, killed, others):
    found = _compare(Mutant("own", frozenset(also)), judgement(**statuses), {})
    assert (found.killed, set(found.others)) == (killed, others)
    assert found.clean is (killed and not others)


def test_a_check_that_never_ran_has_caught_nothing():
    assert not _compare(Mutant("obstructed"), judgement(obstructed="fail"), {}).killed


def test_the_six_numbers_come_first():
    found = SelfTest(
        3, 2, 1, (), ("a", "b"), (), (), (Judged("a", "a", True, {}), Judged("b", "b", False, {}))
    )
    six = ("requirements", "tested", "untestable", "checks", "broken", "killed")
    assert list(found.as_json())[:6] == list(six)
    assert [found.as_json()[name] for name in six] == [3, 2, 1, 2, 2, 1]
    assert found.as_json()["survivors"] == ["b"]
    assert not found.good


def test_an_argument_may_stand_for_many_survivors(tmp_path):
    (tmp_path / "conformance").mkdir()
    (tmp_path / "conformance" / "survivors.yaml").write_text(
        "survivors:\n  'rescale state.elements.*.energy.*': as good\n  delay GET /policy: in time\n"
    )
    argued = survivors_argued(tmp_path)
    assert argument_for("rescale state.elements.*.energy.energy_in_wh", argued) == "as good"
    assert argument_for("delay GET /policy", argued) == "in time"
    assert argument_for("drop state.elements.*.energy.energy_in_wh", argued) == ""
