"""The hub freezes again only what has changed; the picture is the one that freezing everything would give."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.control_homes import BAT, BAT2, METER, battery, battery_state, meter, meter_state

from ores.control.snapshot import ModuleSnapshot
from ores.hub.arbiter import Arbiter
from ores.hub.federation import Federation
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.hub.preferences import PreferencesStore
from ores.hub.proposals import Proposals
from ores.hub.state_dir import StateDir
from ores.link.clock import RealClock
from ores.link.endpoint import Session
from ores.model import LeaseResult

DESCRIBED = {METER: meter(), BAT: battery(), BAT2: battery(BAT2)}
SAID = {METER: meter_state(100.0), BAT: battery_state(0.0), BAT2: battery_state(0.0)}


class Hands(RealClock):
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0

    def now(self) -> float:
        """Where they stand."""
        return self.now_s


class Ear:
    """Passes on who has spoken, as the control cycle does before it decides."""

    def __init__(self, arbiter: Arbiter) -> None:
        self.on_state = arbiter.heard

    def on_result(self, link: ModuleLink, result: LeaseResult) -> None:
        """No lease is sent here."""

    def on_described(self, link: ModuleLink) -> None:
        """All have described themselves from the start."""
        del link


async def nowhere() -> Session:
    raise AssertionError("nothing is connected here")


@contextmanager
def joined(clock: Hands) -> Iterator[tuple[Arbiter, Federation]]:
    """An arbiter with three modules that have described themselves."""
    with tempfile.TemporaryDirectory() as folder:
        notices = Notices(clock)
        directory = StateDir(Path(folder))
        federation = Federation(clock, notices, epoch=1)
        preferences = PreferencesStore(directory, notices)
        arbiter = Arbiter(clock, federation, preferences, Proposals(clock), notices)
        ear = Ear(arbiter)
        for module_id, description in DESCRIBED.items():
            federation.links[module_id] = link = ModuleLink(
                module_id, nowhere, clock, notices, ear, epoch=1, counts=federation.counts
            )
            link._take_description(description)
        arbiter.modules_changed()
        yield arbiter, federation
        directory.close()


def whole(federation: Federation, now_s: float) -> dict[str, tuple[object, ...]]:
    """What each module is now, looked up one by one."""
    links = federation.links.values()
    return {link.id: (link.state, link.is_fresh(now_s), not link.watch_only) for link in links}


def seen(module: ModuleSnapshot) -> tuple[object, ...]:
    return module.state, module.fresh, module.controllable


STEPS = st.lists(
    st.one_of(
        st.sampled_from(list(DESCRIBED)),
        st.sampled_from([0.0, 0.001, 0.3, 1.0, 2.9985, 2.9995, 3.0, 3.001, 10.0]),
        st.tuples(st.just("watch"), st.sampled_from(list(DESCRIBED))),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_picture_is_that_of_all_modules_whoever_has_spoken(
    steps: list[str | float | tuple[str, str]],
) -> None:
    clock = Hands()
    with joined(clock) as (arbiter, federation):
        for number, step in enumerate(steps):
            match step:
                case str():
                    state = msgspec.structs.replace(SAID[step], uptime_ms=number)
                    federation.links[step]._take_state(state)
                case float():
                    clock.now_s += step
                case _:
                    link = federation.links[step[1]]
                    link.watch_only = not link.watch_only
                    arbiter.modules_changed()
            picture = arbiter._freeze(clock.now())
            assert {m: seen(module) for m, module in picture.modules.items()} == whole(
                federation, clock.now()
            )
            assert picture.steers() == msgspec.structs.replace(picture, steered=None).steers()
