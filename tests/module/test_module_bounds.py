"""Whatever is asked in whatever order: ratings bind, and a lease leaves no more than the failsafe behind."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    AcTerminal,
    ElementCommand,
    ElementState,
    Failsafe,
    Lease,
    LimitCapability,
    Limits,
    Policy,
    Rating,
    SetpointCapability,
    SetpointCommand,
    Storage,
    StorageCapability,
)
from ores.module import element, setpoint
from ores.module.effective import FREE, Ceilings, Own, resolve, rules_of
from ores.module.leases import LeaseBook, WholeRefusal, expired, in_force, receive

POWER_W = st.one_of(st.floats(-1e6, 1e6), st.integers(-6000, 6000).map(float), st.just(-0.0))
LIMIT_W = st.floats(0, 1e6)
BOUND_W = st.one_of(st.just(inf), LIMIT_W)
CEILINGS = st.builds(Ceilings, BOUND_W, BOUND_W, BOUND_W)
OWN = st.builds(Own, CEILINGS, CEILINGS, st.just("temperature"))


@st.composite
def limits(draw):
    given_ones = draw(st.dictionaries(st.sampled_from(["consume_max_w", "produce_max_w"]), LIMIT_W))
    return Limits(**given_ones)


@st.composite
def commands(draw):
    parts = {}
    if draw(st.booleans()):
        parts["limit"] = draw(limits())
    if draw(st.booleans()):
        parts["setpoint"] = SetpointCommand(power_w=draw(POWER_W))
    return ElementCommand(**parts)


@given(CEILINGS, st.none() | commands(), st.none() | commands(), OWN)
def test_nothing_exceeds_rating_lease_or_failsafe_and_what_the_device_allows(
    things_battery, failsafe, leased, wish, own
):
    rules = rules_of(things_battery)
    found = resolve(rules, failsafe=failsafe, leased=leased, wish=wish, own=own).effective
    asked = leased.limit if leased is not None and leased.limit else Limits()
    for field in ("consume_max_w", "produce_max_w"):
        leased_limit = getattr(asked, field)
        agreed = getattr(failsafe, field) if not isinstance(leased_limit, float) else leased_limit
        most = min(getattr(rules.rating, field), agreed, getattr(own.ceilings, field))
        assert getattr(found, field) == most
    if found.power_w is not None:
        assert -found.produce_max_w <= found.power_w <= found.consume_max_w
        assert -own.range.produce_max_w <= found.power_w <= own.range.consume_max_w
        assert str(found.power_w) != "-0.0"


@given(st.floats(0, 200), st.floats(0.01, 100), st.floats(0, 100))
def test_no_rounding_leads_to_where_the_device_cannot_run(asked_w, step_w, least_w):
    able = SetpointCapability(
        consume_max_w=200.0, produce_max_w=200.0, response_s=1.0, step_w=step_w, consume_min_w=least_w
    )
    rules = rules_of(element("pump", "load", rating=Rating(consume_max_w=200.0), setpoint=able))
    found = resolve(rules, failsafe=Ceilings(), leased=setpoint(asked_w), wish=None, own=FREE)
    assert found.effective.power_w == 0.0 or found.effective.power_w >= least_w * (1 - 1e-9)


def test_fifty_five_watts_in_steps_of_fifty_are_less_than_a_least_of_fifty_two():
    able = SetpointCapability(
        consume_max_w=200.0, produce_max_w=200.0, response_s=1.0, step_w=50.0, consume_min_w=52.0
    )
    rules = rules_of(element("pump", "load", rating=Rating(consume_max_w=200.0), setpoint=able))
    found = resolve(rules, failsafe=Ceilings(), leased=setpoint(55.0), wish=None, own=FREE)
    assert (found.effective.power_w, found.setpoint_by) == (0.0, "minimum")


@given(CEILINGS, commands(), st.none() | commands(), OWN)
def test_losing_a_lease_never_leaves_more_than_the_failsafe(things_battery, failsafe, leased, wish, own):
    rules = rules_of(things_battery)
    without = resolve(rules, failsafe=failsafe, leased=None, wish=wish, own=own).effective
    assert without.consume_max_w <= failsafe.consume_max_w
    assert without.produce_max_w <= failsafe.produce_max_w
    # and a lease that says nothing is no different from none
    silent = resolve(rules, failsafe=failsafe, leased=ElementCommand(), wish=wish, own=own).effective
    assert silent == without


@given(POWER_W, st.floats(0.1, 2000.0), st.floats(0, 5000.0))
def test_steps_and_the_least_power_only_ever_bring_a_setpoint_nearer_to_zero(
    things_element, asked_w, step_w, least_w
):
    able = SetpointCapability(
        consume_max_w=5000.0, produce_max_w=5000.0, response_s=0.0, step_w=step_w, consume_min_w=least_w
    )
    rules = rules_of(things_element(able))
    found = resolve(
        rules, failsafe=Ceilings(), leased=setpoint(asked_w), wish=None, own=FREE
    ).effective.power_w
    assert abs(found) <= abs(asked_w)
    assert found * asked_w >= 0
    assert abs(found / step_w - round(found / step_w)) < 1e-6 or abs(found) <= 1e-6 * step_w


def test_a_power_that_is_a_whole_number_of_steps_stays(things_element):
    able = SetpointCapability(consume_max_w=5000.0, produce_max_w=0.0, response_s=0.0, step_w=230.1)
    found = resolve(
        rules_of(things_element(able)), failsafe=Ceilings(), leased=setpoint(690.3), wish=None, own=FREE
    )
    assert found.effective.power_w == 690.3


@st.composite
def histories(draw):
    """What hubs send over time: some of it late, repeated, of an old epoch or another boot."""
    steps = []
    now_s = 0.0
    for _ in range(draw(st.integers(1, 20))):
        now_s += draw(st.floats(0, 20))
        lease = Lease(
            epoch=draw(st.integers(0, 3)),
            seq=draw(st.integers(0, 6)),
            boot_id=draw(st.sampled_from(["00000001", "00000001", "00000001", "00000002"])),
            uptime_ms=max(0, int(now_s * 1000) - draw(st.sampled_from([0, 0, 0, 5000, 5001, -1]))),
            ttl_s=draw(st.floats(0.1, 30)),
            elements={},
        )
        steps.append((now_s, draw(st.sampled_from(["hub", "hub", "hub", "other"])), lease))
    return steps


@given(histories())
def test_epochs_and_sequences_of_a_hub_only_rise_and_leases_end_on_time(history):
    book = LeaseBook("00000001")
    for now_s, peer, lease in history:
        held = book.lease
        after = receive(book, peer, lease, now_s=now_s, uptime_ms=int(now_s * 1000))
        if isinstance(after, WholeRefusal):
            assert after.code.startswith(("lease_", "not_controller"))
            continue
        assert lease.boot_id == "00000001"
        assert 0 <= int(now_s * 1000) - lease.uptime_ms <= 5000
        if after.controller == book.controller:
            assert (after.epoch, after.seq) > (book.epoch, book.seq)
        else:
            assert held is None or now_s >= book.expires_at_s
        assert in_force(after, now_s)
        assert not in_force(after, now_s + lease.ttl_s)
        gone = expired(after, now_s + lease.ttl_s)
        assert (gone.lease, gone.epoch, gone.seq) == (None, after.epoch, after.seq)
        book = after


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.floats(0.01, 8)),
        st.tuples(st.just("lease"), commands(), st.floats(0.1, 10)),
        st.tuples(st.just("failsafe"), limits()),
        st.tuples(st.just("policy"), st.sampled_from(["idle", "free", "wild"])),
        st.tuples(st.just("soc"), st.none() | st.floats(0, 100)),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(STEPS)
def test_a_running_module_stays_within_whatever_happens(things, steps):
    battery = things.Battery()
    wild = lambda situation: {"battery": setpoint(-1e6)}  # noqa: E731
    bench = things.Bench(battery, policies={"wild": wild, "idle": lambda s: {}, "free": lambda s: {}})
    failsafe, leased, ends_s = Limits(), None, 0.0
    for what, *how in steps:
        if what == "move":
            bench.clock.move(bench.clock.now() + how[0])
        elif what == "lease":
            assert bench.send({"battery": how[0]}, ttl_s=how[1]).code == bench.frames[-1].result.code
            leased, ends_s = how[0].limit, bench.clock.now() + how[1]
        elif what == "failsafe":
            reply = bench.ask("PUT", "/failsafe", Failsafe(elements={"battery": how[0]}))
            failsafe = how[0] if reply.status == 200 else failsafe
        elif what == "policy":
            bench.ask("PUT", "/policy", {"kind": how[0]})
        else:
            battery.soc_pct = how[0]
        in_lease = leased if leased and bench.clock.now() < ends_s else Limits()
        for field, rating in (("consume_max_w", 5000.0), ("produce_max_w", 4000.0)):
            agreed = getattr(in_lease, field)
            agreed = agreed if isinstance(agreed, float) else getattr(failsafe, field)
            most = min(rating, agreed) if isinstance(agreed, float) else rating
            assert getattr(battery.told, field) <= most
        if battery.told.power_w is not None:
            assert -battery.told.produce_max_w <= battery.told.power_w <= battery.told.consume_max_w


@pytest.fixture(scope="module")
def things_battery():
    return element(
        "battery",
        "battery",
        rating=Rating(consume_max_w=5000.0, produce_max_w=4000.0),
        limit=LimitCapability(consume=True, produce=True),
        setpoint=SetpointCapability(consume_max_w=4500.0, produce_max_w=3500.0, response_s=0.5),
    )


@pytest.fixture(scope="module")
def things_element():
    return lambda able: element("one", "battery", setpoint=able)


def test_a_state_that_grows_too_large_is_unknown_and_the_lease_still_ends(things):
    names = [f"battery_{number}" for number in range(160)]
    measured = [
        element(name, "battery", ac_measure=AcMeasureCapability(), storage=StorageCapability(capacity_wh=1e4))
        for name in names[:-1]
    ]
    device = things.Battery(*measured, things.battery_element(names[-1]))
    bench = things.Bench(device)
    bench.send({names[-1]: setpoint(2000.0)}, ttl_s=3.0)
    terminals = {
        line: AcTerminal(power_w=1 / 3, current_a=1 / 3, voltage_v=700 / 3) for line in ("L1", "L2", "L3")
    }
    for name in names:
        device.readings[name] = ElementState(
            ac_measure=AcMeasure(power_w=1 / 3, frequency_hz=149 / 3, terminals=terminals),
            storage=Storage(soc_pct=100 / 3, temperature_c=100 / 3),
        )
    bench.clock.move(2.0)
    assert "state_too_large" in bench.state.elements[names[0]].fault.codes
    assert bench.state.elements[names[0]].ac_measure.power_w is None
    reply = bench.ask("GET", "/state")
    assert (reply.status, len(reply.body) <= 65_536) == (200, True)
    bench.clock.move(4.0)
    assert device.told.power_w == 0.0
    device.readings.clear()
    bench.clock.move(5.0)
    assert len(bench.state.elements) == 160
    bench.clock.move(6.0)
    assert bench.state.elements[names[0]].fault is UNSET


def test_however_many_settings_are_put_no_second_has_more_than_ten_states(things):
    bench = things.Bench(things.Battery())
    times = []
    bench.stream.send = lambda frame: times.append(bench.clock.now())
    for step in range(300):
        bench.clock.move(step * 0.02)
        assert bench.ask("PUT", "/policy", Policy(kind=("idle", "free")[step % 2])).status == 200
    bench.clock.move(8.0)
    assert all(later - first >= 1.0 - 1e-3 for first, later in zip(times, times[10:], strict=False))
    assert len(times) >= 50, "and what has changed is told"
