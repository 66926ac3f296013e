"""A lease on a running module, from its receipt to its end."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ores.link import codec, memory
from ores.link.clock import RealClock
from ores.model import (
    ElementCommand,
    ElementSettings,
    Failsafe,
    FromModule,
    Lease,
    Limits,
    ModeCommand,
    Policy,
    Problem,
    Request,
    SetpointCommand,
    Settings,
    StorageSettings,
    SwitchCommand,
    ToModule,
)
from ores.module import Clipped, MemoryStore, Refused, setpoint


@pytest.fixture
def bench(things):
    device = things.Battery()
    bench = things.Bench(device)
    bench.device = device
    return bench


def problem_of(bench):
    problem = bench.frames[-1].problem
    assert isinstance(problem, Problem)
    return problem


def test_a_setpoint_is_applied_in_the_call_that_brings_it(bench):
    assert bench.send({"battery": setpoint(1500.0)}).result == "applied"
    assert bench.device.told.power_w == 1500.0


def test_a_state_comes_at_once_and_then_every_period(bench):
    bench.clock.move(3.0)
    assert [state.uptime_ms for state in bench.states()] == [0, 1000, 2000, 3000]


def test_a_lease_ends_at_its_exact_time_and_the_state_says_so_at_once(bench):
    bench.send({"battery": setpoint(1500.0)}, ttl_s=2.35)
    bench.clock.move(2.349)
    assert bench.device.told.power_w == 1500.0
    assert bench.state.control_source == "lease"
    bench.clock.move(2.35)
    assert bench.device.told.power_w == 0.0
    assert (bench.state.control_source, bench.state.uptime_ms, bench.state.lease) == (
        "policy",
        2350,
        msgspec.UNSET,
    )


def test_a_renewed_lease_does_not_end_when_the_first_would_have(bench):
    bench.send({"battery": setpoint(1500.0)}, ttl_s=2.5)
    bench.clock.move(2.0)
    bench.send({"battery": setpoint(1500.0)}, ttl_s=2.5)
    bench.clock.move(4.4)
    assert bench.state.control_source == "lease"
    assert len(bench.device.applied) == 2  # idle at boot, then once: what is renewed is not written again
    bench.clock.move(4.5)
    assert bench.device.told.power_w == 0.0


def test_a_shorter_lease_ends_before_the_longer_one_that_it_replaced(bench):
    bench.send({"battery": setpoint(1500.0)}, ttl_s=100.0)
    bench.send({"battery": setpoint(1500.0)}, ttl_s=1.25)
    bench.clock.move(1.25)
    assert bench.device.told.power_w == 0.0


def test_the_state_echoes_the_lease_and_what_is_left_of_it(bench):
    bench.send({"battery": setpoint(1500.0)}, ttl_s=10.0)
    bench.clock.move(4.0)
    lease = bench.state.lease
    assert (lease.epoch, lease.seq, lease.expires_in_s) == (1, 1, 6.0)
    assert bench.state.elements["battery"].setpoint.power_w == 1500.0


def test_a_setpoint_beyond_the_rating_is_clipped_to_it(bench):
    result = bench.send({"battery": setpoint(9000.0)})
    outcome = result.outcomes["battery"].setpoint
    assert (result.result, outcome.result, outcome.power_w, outcome.limited_by) == (
        "clipped",
        "clipped",
        5000.0,
        "rating",
    )


def test_a_limit_beyond_the_rating_is_clipped_to_it(bench, things):
    result = bench.send({"battery": things.limits(produce_max_w=9000.0)})
    outcome = result.outcomes["battery"].limit
    assert (outcome.result, outcome.produce_max_w, outcome.limited_by) == ("clipped", 4000.0, "rating")
    assert bench.device.told.produce_max_w == 4000.0


def test_a_setpoint_is_clipped_by_the_limit_of_the_same_lease(bench):
    command = ElementCommand(limit=Limits(consume_max_w=800.0), setpoint=SetpointCommand(power_w=1500.0))
    outcome = bench.send({"battery": command}).outcomes["battery"].setpoint
    assert (outcome.power_w, outcome.limited_by) == (800.0, "lease")


def test_a_setpoint_without_a_leased_limit_is_clipped_by_the_failsafe(bench):
    bench.ask("PUT", "/failsafe", Failsafe(elements={"battery": Limits(produce_max_w=0.0)}))
    outcome = bench.send({"battery": setpoint(-1500.0)}).outcomes["battery"].setpoint
    assert (outcome.power_w, outcome.limited_by) == (0.0, "failsafe")


def test_a_leased_limit_may_be_wider_than_the_failsafe_until_it_ends(bench, things):
    bench.ask("PUT", "/failsafe", Failsafe(elements={"battery": Limits(produce_max_w=0.0)}))
    bench.send({"battery": things.limits(produce_max_w=3000.0)}, ttl_s=5.0)
    assert bench.device.told.produce_max_w == 3000.0
    bench.clock.move(5.0)
    assert bench.device.told.produce_max_w == 0.0
    limit = bench.state.elements["battery"].limit
    assert (limit.produce_max_w, limit.limited_by) == (0.0, "failsafe")


def test_an_element_absent_from_a_lease_has_none(bench, things):
    bench.send({"battery": setpoint(1500.0)})
    bench.send({})
    assert bench.device.told.power_w == 0.0


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"boot_id": "00000002"}, "lease_other_boot"),
        ({"uptime_ms": 4999}, "lease_stale"),
        ({"uptime_ms": 10_001}, "lease_stale"),
        ({"epoch": 0}, "lease_old_epoch"),
        ({"seq": 1}, "lease_old_seq"),
        ({"seq": 0}, "lease_old_seq"),
    ],
)
def test_a_lease_out_of_its_time_is_refused_and_the_one_before_stays(bench, how, code):
    bench.clock.move(9.0)
    bench.send({"battery": setpoint(1500.0)})
    bench.clock.move(10.0)
    result = bench.send({"battery": setpoint(-2000.0)}, **how)
    assert (result.result, result.code) == ("refused", code)
    assert bench.device.told.power_w == 1500.0


def test_a_lease_may_answer_a_state_of_five_seconds_ago(bench):
    bench.clock.move(10.0)
    assert bench.send({"battery": setpoint(1.0)}, uptime_ms=5000).result == "applied"


def test_a_new_epoch_begins_its_own_sequence(bench):
    bench.send(seq=500)
    assert bench.send(epoch=2, seq=0).result == "applied"


def test_a_cloned_hub_cannot_come_back_after_the_module_has_rebooted(things):
    store = MemoryStore()
    things.Bench(things.Battery(), store=store).send(epoch=7)
    rebooted = things.Bench(things.Battery(), store=store, boot_id="00000002")
    assert rebooted.send(epoch=6, boot_id="00000002").code == "lease_old_epoch"
    assert rebooted.send(epoch=7, seq=0, boot_id="00000002").result == "applied"


def test_a_second_controller_is_refused_while_the_first_holds_a_lease(bench, things):
    bench.send({"battery": setpoint(1500.0)}, epoch=9, ttl_s=5.0)
    bench.stream = bench.open(things.other_hub)
    assert bench.send({"battery": setpoint(-1500.0)}).code == "not_controller"
    bench.clock.move(5.0)
    assert bench.send({"battery": setpoint(-1500.0)}).result == "applied"  # and its epochs are its own


def test_an_unknown_element_is_refused_and_the_rest_applies(bench):
    result = bench.send({"battery": setpoint(1500.0), "roof": setpoint(1.0)})
    assert result.result == "refused"
    assert result.code is msgspec.UNSET
    assert list(result.outcomes) == ["roof"]
    assert result.outcomes["roof"].setpoint.code == "unknown_element"
    assert bench.device.told.power_w == 1500.0


def test_a_capability_that_is_not_declared_is_refused_and_the_rest_applies(bench):
    command = ElementCommand(setpoint=SetpointCommand(power_w=1500.0), switch=SwitchCommand(closed=False))
    outcome = bench.send({"battery": command}).outcomes["battery"]
    assert (outcome.switch.code, outcome.setpoint) == ("unknown_capability", msgspec.UNSET)
    assert bench.device.told.power_w == 1500.0


def test_a_limit_in_a_direction_that_cannot_be_limited_is_refused(bench, things):
    outcome = bench.send({"battery": things.limits(current_max_a=10.0)}).outcomes["battery"]
    assert outcome.limit.code == "unknown_capability"
    assert "current_max_a" in outcome.limit.detail


def test_amperes_that_cannot_be_limited_leave_no_export_in_force(bench, things):
    result = bench.send({"battery": things.limits(produce_max_w=0.0, current_max_a=10.0)})
    assert (result.result, result.code) == ("refused", msgspec.UNSET)
    assert result.outcomes["battery"].limit.code == "unknown_capability"
    assert bench.device.told.produce_max_w == 0.0


def test_an_empty_command_asks_nothing_of_nobody(bench):
    result = bench.send({"roof": ElementCommand()})
    assert (result.result, result.outcomes) == ("applied", msgspec.UNSET)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (
            b'{"lease":{"epoch":1,"seq":9,"boot_id":"00000001","uptime_ms":0,"ttl_s":-1,"elements":{}}}',
            "$.lease.ttl_s",
        ),
        (
            b'{"lease":{"epoch":1,"seq":9,"boot_id":"00000001","uptime_ms":0,"ttl_s":901,"elements":{}}}',
            "$.lease.ttl_s",
        ),
        (
            (
                b'{"lease":{"epoch":1,"seq":9,"boot_id":"00000001","uptime_ms":0,"ttl_s":9,"elements":'
                b'{"battery":{"setpoint":{"power_w":null}}}}}'
            ),
            "$.lease.elements.battery.setpoint.power_w",
        ),
        (
            b'{"lease":{"epoch":1,"seq":9,"boot_id":"00000001","uptime_ms":0,"ttl_s":9,"elements":{},"force":true}}',
            "$.lease.force",
        ),
        (b'{"lease":NaN}', "$"),
        (b"\xff\xfe", "$"),
    ],
)
def test_a_frame_that_is_no_command_is_answered_by_a_problem_that_names_the_field(bench, frame, field):
    bench.send({"battery": setpoint(1500.0)})
    bench.stream.receive(frame)
    problem = problem_of(bench)
    assert (problem.code, problem.field_) == ("invalid_message", field)
    assert bench.device.told.power_w == 1500.0


def test_ten_megabytes_are_refused_unread(bench):
    bench.stream.receive(b'{"lease":' + b"[" * 10_000_000)
    assert problem_of(bench).code == "too_large"


def test_an_observer_reads_and_does_not_command(bench, things):
    stream = bench.open(things.observer)
    assert bench.states()
    stream.receive(msgspec.json.encode({"lease": bench.lease({"battery": setpoint(1.0)})}))
    assert problem_of(bench).code == "forbidden"
    assert bench.device.told.power_w == 0.0


def test_a_device_may_clip_and_refuse(bench):
    bench.device.answer = Clipped("temperature", 700.0)
    outcome = bench.send({"battery": setpoint(1500.0)}).outcomes["battery"].setpoint
    assert (outcome.result, outcome.power_w, outcome.limited_by) == ("clipped", 700.0, "temperature")
    bench.device.answer = Refused("its door is open")
    outcome = bench.send({"battery": setpoint(1600.0)}).outcomes["battery"].setpoint
    assert (outcome.result, outcome.code, outcome.detail) == ("refused", "device_refused", "its door is open")


def test_a_device_that_fails_to_apply_is_told_again_each_period(bench):
    bench.device.fail_apply = OSError("no answer on the bus")
    result = bench.send({"battery": setpoint(1500.0)})
    assert result.outcomes["battery"].setpoint.code == "device_failed"
    bench.clock.move(1.0)
    assert bench.state.elements["battery"].fault.codes == ["apply_failed"]
    bench.device.fail_apply = None
    bench.clock.move(2.0)
    assert bench.device.told.power_w == 1500.0
    assert bench.state.elements["battery"].fault is msgspec.UNSET


def test_switches_and_modes_follow_the_lease_and_then_their_defaults_again(things):
    panel = things.Panel()
    bench = things.Bench(panel)
    assert panel.told["circuit"].closed is True
    assert panel.told["pump"].mode == "normal"
    bench.send(
        {
            "circuit": ElementCommand(switch=SwitchCommand(closed=False)),
            "pump": ElementCommand(mode=ModeCommand(mode="boost")),
        },
        ttl_s=5.0,
    )
    assert (panel.told["circuit"].closed, panel.told["pump"].mode) == (False, "boost")
    bench.clock.move(5.0)
    assert (panel.told["circuit"].closed, panel.told["pump"].mode) == (True, "normal")


def test_an_unknown_mode_is_refused(things):
    bench = things.Bench(things.Panel())
    outcome = bench.send({"pump": ElementCommand(mode=ModeCommand(mode="turbo"))}).outcomes["pump"].mode
    assert (outcome.code, outcome.detail) == ("unknown_mode", "pump declares boost, normal, off")


def test_no_lease_touches_a_tie(things):
    panel = things.Panel()
    outcome = (
        things.Bench(panel).send({"tie": ElementCommand(switch=SwitchCommand(closed=True))}).outcomes["tie"]
    )
    assert outcome.switch.code == "unknown_capability"
    assert "tie" not in panel.told


def test_one_timer_per_period_one_for_the_lease_and_one_to_look_at_what_it_did(bench):
    for at_s in range(1, 30):
        bench.clock.move(at_s)
        bench.send({"battery": setpoint(float(at_s))})
        assert len(bench.clock.wakeups()) == 3


def test_what_a_lease_did_is_told_soon_also_of_a_device_that_has_no_news(bench):
    bench.clock.move(0.3)
    bench.send({"battery": setpoint(1500.0)})
    bench.clock.move(0.45)
    assert bench.state.elements["battery"].ac_measure.power_w == 1500.0


def test_a_module_that_stops_leaves_no_timer_and_no_command_that_nobody_would_end(bench):
    bench.send({"battery": setpoint(1500.0)})
    bench.module.stop()
    assert bench.clock.wakeups() == []
    assert bench.device.told.power_w == 0.0


def test_a_lease_that_comes_after_the_stop_is_for_nobody(bench):
    bench.module.stop()
    told = len(bench.frames)
    bench.stream.receive(msgspec.json.encode(ToModule(lease=bench.lease({"battery": setpoint(1500.0)}))))
    bench.clock.move(3.0)
    assert bench.frames[told:] == []
    assert bench.clock.wakeups() == []
    assert bench.device.told.power_w == 0.0
    bench.module.start()
    assert bench.send({"battery": setpoint(1500.0)}).result == "applied"


@pytest.mark.parametrize("answer", [Clipped("heat", float("nan")), "yes", 7])
def test_an_answer_that_makes_no_sense_is_a_failure_of_the_device(bench, answer):
    bench.device.answer = answer
    outcome = bench.send({"battery": setpoint(1500.0)}).outcomes["battery"].setpoint
    assert (outcome.result, outcome.code) == ("refused", "device_failed")
    assert bench.module.state().elements["battery"].setpoint.power_w is None


async def test_a_hub_in_the_same_process_reads_and_leases_over_the_memory_link(things):
    clock = RealClock()
    bench = things.Bench(things.Battery(), clock=clock, report_period_s=0.02)
    session = memory.connect(bench.module, things.hub, clock)
    frames = asyncio.Queue()
    send = await session.open_stream(frames.put_nowait, lambda reason: None)
    state = codec.decode(FromModule, await frames.get()).state
    lease = Lease(epoch=1, seq=1, boot_id=state.boot_id, uptime_ms=state.uptime_ms, ttl_s=1.0, elements={})
    send(codec.encode(ToModule(lease=lease)))
    async with asyncio.timeout(5):
        while (result := codec.decode(FromModule, await frames.get()).result) is msgspec.UNSET:
            pass
        assert result.result == "applied"
        while (state := codec.decode(FromModule, await frames.get()).state) is msgspec.UNSET:
            pass
    assert state.control_source == "lease"
    await session.close()
    bench.module.stop()


def test_what_persists_is_fenced_like_a_lease(bench, things):
    bench.send(epoch=4)
    settings = ElementSettings(storage=StorageSettings(reserve_pct=30.0))
    messages = (
        ("/failsafe", lambda epoch: Failsafe(elements={"battery": Limits(produce_max_w=0.0)}, epoch=epoch)),
        ("/policy", lambda epoch: Policy(kind="free", epoch=epoch)),
        ("/settings", lambda epoch: Settings(elements={"battery": settings}, epoch=epoch)),
    )
    for path, message in messages:
        before = bench.ask("GET", path).body
        refused = bench.ask("PUT", path, message(3))
        assert (refused.status, msgspec.json.decode(refused.body)["code"]) == (409, "lease_old_epoch")
        assert bench.ask("GET", path).body == before
        for epoch in (4, 9, msgspec.UNSET):
            taken = bench.ask("PUT", path, message(epoch))
            assert taken.status == 200
            assert b"epoch" not in taken.body
            assert taken.body == bench.ask("GET", path).body
        again = bench.ask("PUT", path, message(4))
        assert again.status == 200, "only leases raise the epoch"
        assert bench.ask("PUT", path, message(3), things.other_hub).status == 200, "another hub counts anew"


def test_a_request_of_a_past_epoch_is_refused(things):
    asked = []
    bench = things.Bench(things.Battery(), restart=lambda: asked.append(1))
    bench.send(epoch=4)
    reply = msgspec.json.decode(bench.ask("POST", "/requests", Request(request="restart", epoch=3)).body)
    assert (reply["result"], reply["code"]) == ("refused", "lease_old_epoch")
    assert asked == []
    assert b"accepted" in bench.ask("POST", "/requests", Request(request="restart", epoch=4)).body
