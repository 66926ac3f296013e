"""What may be read, set and asked for, by whom, and what is kept."""

from __future__ import annotations

import msgspec
import pytest
import yaml

from ores.link import codec
from ores.link.errors import ConfigError
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    Description,
    ElementSettings,
    ElementState,
    EnergyCapability,
    Failsafe,
    Isolate,
    IsolateCapability,
    LimitCapability,
    Limits,
    Policy,
    Problem,
    ProduceCapability,
    PublicDescription,
    Rating,
    Request,
    RequestResult,
    ScheduleSlot,
    SetpointCapability,
    Settings,
    State,
    StorageSettings,
    SwitchCapability,
)
from ores.module import (
    FileStore,
    MemoryStore,
    Refused,
    Saved,
    element,
    free,
    idle,
    schedule,
    self_consumption,
    setpoint,
)
from ores.module.description import check_elements
from ores.module.problems import TITLES


@pytest.fixture
def bench(things):
    bench = things.Bench(things.Battery())
    bench.device = bench.module.device
    return bench


def problem(reply):
    assert reply.status >= 400, reply
    return codec.decode(Problem, reply.body)


# -- description


def test_a_large_description_comes_in_pages_of_4096_bytes(things):
    circuits = [
        element(f"circuit_{n}", "circuit", name=f"Circuit {n}", switch=SwitchCapability()) for n in range(90)
    ]
    bench = things.Bench(things.Battery(*circuits))
    path, found = "/description", []
    while True:
        reply = bench.ask("GET", path)
        assert len(reply.body) <= 4096
        page = codec.decode(Description, reply.body)
        assert page.element_count == 90
        found += page.elements
        if page.next is msgspec.UNSET:
            break
        path = page.next
    assert found == circuits
    assert problem(bench.ask("GET", "/description?page=99")).code == "not_found"


def test_a_stranger_learns_what_it_could_pair_with_and_nothing_about_the_home(bench, things):
    reply = bench.ask("GET", "/description", peer=things.stranger)
    told = codec.decode(PublicDescription, reply.body)
    assert (told.maker, told.model, told.id, told.profiles) == ("Maker", "One", "m" * 26, ["storage"])
    assert set(msgspec.json.decode(reply.body)) == {"ores", "id", "maker", "model", "profiles"}
    whole = codec.decode(Description, bench.ask("GET", "/description", peer=things.observer).body)
    assert whole.serial == "1"
    assert whole.elements


def test_a_stranger_is_refused_everything_else(bench, things):
    assert problem(bench.ask("GET", "/description?page=2", peer=things.stranger)).code == "forbidden"
    for path in ("/state", "/failsafe", "/faults"):
        assert problem(bench.ask("GET", path, peer=things.stranger)).code == "forbidden"


def battery_without(**changed):
    able = {"rating": Rating(consume_max_w=5000.0, produce_max_w=5000.0)} | changed
    return element("battery", "battery", **able)


def tie_element():
    return element("tie", "tie", isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup"))


def circuit_element(number):
    return element(
        f"circuit_{number}",
        "circuit",
        bus="grid",
        terminals=["L1", "L2", "L3"],
        connection="three_phase",
        ac_measure=AcMeasureCapability(),
        energy=EnergyCapability(),
        switch=SwitchCapability(),
    )


@pytest.mark.parametrize(
    ("elements", "names"),
    [
        ([], "elements"),
        ([element("a", "load"), element("a", "load")], "element a"),
        ([element("A b", "load")], r"element A b \$.id"),
        ([element("a", "load", upstream="b")], "element a upstream"),
        ([element("a", "load", upstream="b"), element("b", "load", upstream="a")], "a > b > a"),
        ([battery_without(rating=Rating(), limit=LimitCapability(produce=True))], "limit.produce"),
        ([battery_without(limit=LimitCapability(current=True))], "rating.current_max_a"),
        (
            [
                battery_without(
                    setpoint=SetpointCapability(consume_max_w=6000.0, produce_max_w=0.0, response_s=1.0)
                )
            ],
            "setpoint.consume_max_w",
        ),
        ([battery_without(rating=Rating(consume_max_w=float("nan")))], "rating.consume_max_w"),
        ([battery_without(rating=Rating(consume_max_w=-1.0))], "rating.consume_max_w"),
        ([element("tie", "tie")], "tie without isolate"),
        (
            [
                element(
                    "tie",
                    "tie",
                    isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup"),
                    switch=SwitchCapability(),
                )
            ],
            "no lease may close a tie",
        ),
        ([element("pump", "heat"), tie_element()], "element pump bus"),
        (
            [element("house", "meter", connection="three_phase", ac_measure=AcMeasureCapability())],
            "element house terminals",
        ),
        (
            [
                element("roof", "inverter", produce=ProduceCapability(peak_w=5000.0)),
                element("box", "inverter", upstream="roof"),
                element("string", "pv", upstream="box", produce=ProduceCapability(peak_w=5000.0)),
            ],
            "produce here and on roof",
        ),
        ([circuit_element(number) for number in range(256)], "a state of 65536 bytes holds; more are two"),
        (
            [circuit_element(number) for number in range(95)],
            "lease of 4096 bytes can command; more are two",
        ),
        (
            [
                element(name, "meter", ac_measure=AcMeasureCapability(connection_point=True))
                for name in ("a", "b")
            ],
            "connection_point",
        ),
    ],
)
def test_a_description_that_makes_no_sense_is_found_at_the_makers_desk(elements, names):
    with pytest.raises(ConfigError, match=names):
        check_elements(elements)


def test_ninety_circuits_on_three_conductors_are_one_module():
    check_elements([circuit_element(number) for number in range(90)])


def test_strings_that_each_tell_their_sun_hang_behind_an_inverter_that_does_not():
    strings = [
        element(name, "pv", upstream="roof", produce=ProduceCapability(peak_w=5000.0)) for name in ("a", "b")
    ]
    check_elements([element("roof", "inverter"), *strings])


# -- reading and commanding


def test_the_state_can_be_asked_for(bench):
    assert codec.decode(State, bench.ask("GET", "/state").body) == bench.state


def test_a_lease_may_come_by_put_and_a_refusal_is_an_answer(bench):
    reply = bench.ask("PUT", "/lease", bench.lease({"battery": setpoint(700.0)}))
    assert (reply.status, msgspec.json.decode(reply.body)["result"]) == (200, "applied")
    assert bench.device.told.power_w == 700.0
    stale = bench.lease(boot_id="00000002")
    reply = bench.ask("PUT", "/lease", stale)
    assert (reply.status, msgspec.json.decode(reply.body)["code"]) == (200, "lease_other_boot")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/nothing", "not_found"), ("DELETE", "/lease", "method_not_allowed"), ("GET", "/", "not_found")],
)
def test_what_there_is_not_is_said(bench, method, path, code):
    assert problem(bench.ask(method, path)).code == code


@pytest.mark.parametrize("path", ["/lease", "/failsafe", "/policy", "/settings"])
def test_an_observer_sets_nothing(bench, things, path):
    assert problem(bench.ask("PUT", path, {}, peer=things.observer)).code == "forbidden"


@pytest.mark.parametrize("path", ["/lease", "/failsafe", "/policy", "/settings"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"force":true}', b"null", b"NaN"])
def test_a_body_that_is_no_command_changes_nothing(bench, things, path, body):
    reply = bench.module.request(things.hub, "PUT", path, body)
    assert problem(reply).code == "invalid_message"


def test_ten_megabytes_are_refused_unread(bench, things):
    reply = bench.module.request(things.hub, "PUT", "/failsafe", b"[" * 10_000_000)
    assert (reply.status, problem(reply).code) == (413, "too_large")


# -- failsafe limits


def failsafe(**limits):
    return Failsafe(elements={"battery": Limits(**limits)})


def test_failsafe_limits_bind_the_policy_at_once_and_are_read_back(things):
    bench = things.Bench(
        things.Battery(), policies={"sell": lambda situation: {"battery": setpoint(-3000.0)}}
    )
    assert bench.module.device.told.power_w == -3000.0
    reply = bench.ask("PUT", "/failsafe", failsafe(produce_max_w=100.0))
    assert reply.body == bench.ask("GET", "/failsafe").body == codec.encode(failsafe(produce_max_w=100.0))
    assert bench.module.device.told.power_w == -100.0
    assert bench.state.elements["battery"].limit.limited_by == "failsafe"


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (Failsafe(elements={"roof": Limits()}), "unknown_element", "$.elements.roof"),
        (failsafe(current_max_a=1.0), "unknown_capability", "$.elements.battery.current_max_a"),
        (failsafe(produce_max_w=4001.0), "out_of_range", "$.elements.battery.produce_max_w"),
    ],
)
def test_failsafe_limits_that_cannot_be_kept_are_refused_with_their_place(bench, asked, code, field):
    found = problem(bench.ask("PUT", "/failsafe", asked))
    assert (found.code, found.field_) == (code, field)


def test_failsafe_limits_hold_at_boot_before_anybody_speaks(things, tmp_path):
    store = FileStore(tmp_path, fresh_counter_epoch=1)
    things.Bench(things.Battery(), store=store).ask("PUT", "/failsafe", failsafe(produce_max_w=0.0))
    battery = things.Battery()
    things.Bench(battery, store=store, policies={"sell": lambda situation: {"battery": setpoint(-3000.0)}})
    assert [command.power_w for _, command in battery.applied] == [0.0]


def test_failsafe_limits_hold_even_for_a_lease_that_comes_before_the_module_has_started(things):
    store = MemoryStore(Saved(failsafe=failsafe(produce_max_w=0.0).elements))
    battery = things.Battery()
    module = things.Bench(battery, store=store, start=False).module
    lease = b'{"epoch":1,"seq":1,"boot_id":"00000001","uptime_ms":0,"ttl_s":9,"elements":%s}'
    module.request(things.hub, "PUT", "/lease", lease % b'{"battery":{"setpoint":{"power_w":-900}}}')
    assert battery.told.power_w == 0.0


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b'{"failsafe":{"battery":{"produce_max_w":-5}}}', b'{"new":1}']
)
def test_a_damaged_store_means_the_strictest_limits_until_they_are_set_anew(things, tmp_path, damage):
    store = FileStore(tmp_path, fresh_counter_epoch=7)
    (tmp_path / "module.json").write_bytes(damage)
    (tmp_path / "module.json").chmod(0o600)
    battery = things.Battery()
    bench = things.Bench(battery, store=store)
    assert (battery.told.consume_max_w, battery.told.produce_max_w) == (0.0, 0.0)
    assert bench.state.elements["battery"].fault.codes == ["store_lost"]
    assert bench.state.elements["battery"].energy.counter_epoch == 7
    assert (tmp_path / "module.json.damaged").read_bytes() == damage
    # and it stays so over the next boot
    again = things.Battery()
    bench = things.Bench(again, store=store)
    assert again.told.produce_max_w == 0.0
    assert bench.ask("GET", "/failsafe").body == codec.encode(failsafe(consume_max_w=0.0, produce_max_w=0.0))
    bench.ask("PUT", "/failsafe", failsafe(produce_max_w=1000.0))
    assert (again.told.consume_max_w, again.told.produce_max_w) == (5000.0, 1000.0)
    assert bench.state.elements["battery"].fault is msgspec.UNSET


def test_what_concerns_the_whole_module_stands_at_its_first_element(things):
    two = things.Battery(things.battery_element("one"), things.battery_element("two"))
    bench = things.Bench(two, store=MemoryStore(Saved(strict=True)))
    states = bench.state.elements
    assert states["one"].fault.codes == ["store_lost"]
    assert states["two"].fault is msgspec.UNSET
    assert states["two"].limit.produce_max_w == 0.0


def test_a_store_lost_by_a_paired_module_is_damaged_too(tmp_path):
    assert FileStore(tmp_path, fresh_counter_epoch=1).load().strict is False
    (tmp_path / "pins.json").write_bytes(b"[]")
    assert FileStore(tmp_path, fresh_counter_epoch=1).load().strict is True


class FullDisk(MemoryStore):
    full = False

    def save(self, saved: Saved) -> None:
        if self.full:
            raise ConfigError("module.json", found="No space left on device", allowed="free space")
        super().save(saved)


def test_on_a_full_disk_nothing_changes_and_the_answer_says_why(things):
    store = FullDisk()
    bench = things.Bench(things.Battery(), store=store)
    bench.send(epoch=5)
    store.full = True
    found = problem(bench.ask("PUT", "/failsafe", failsafe(produce_max_w=0.0)))
    assert (found.code, found.status) == ("storage_failed", 507)
    assert "No space left" in found.detail
    assert bench.module.device.told.produce_max_w == 4000.0
    assert bench.send({"battery": setpoint(100.0)}, epoch=5).result == "applied"  # its epoch is kept
    bench.clock.move(1.0)
    assert bench.state.elements["battery"].fault.codes == ["store_failed"]
    store.full = False
    bench.clock.move(20.0)
    assert bench.state.elements["battery"].fault is msgspec.UNSET
    assert store.load().epoch == 5


# -- counters


def test_counters_go_on_after_a_stop_in_order_and_begin_a_new_epoch_after_a_crash(things):
    store = MemoryStore()
    battery = things.Battery()
    battery.power_w = 3600.0
    bench = things.Bench(battery, store=store, policies={"free": free})
    bench.clock.move(100.0)
    before = bench.state.elements["battery"].energy
    assert before.energy_in_wh == pytest.approx(100.0)
    bench.module.stop()
    bench = things.Bench(things.Battery(), store=store)
    assert bench.state.elements["battery"].energy == before
    # nobody stops it: the power fails
    after = things.Bench(things.Battery(), store=store).state.elements["battery"].energy
    assert after.counter_epoch == before.counter_epoch + 1


# -- policies


def test_a_policy_is_chosen_among_those_offered_and_survives_a_boot(things):
    store = MemoryStore()
    policies = {"idle": idle([things.battery_element()]), "charge": lambda s: {"battery": setpoint(500.0)}}
    bench = things.Bench(things.Battery(), store=store, policies=policies)
    assert bench.state.policy == "idle"
    assert bench.ask("PUT", "/policy", Policy(kind="charge")).status == 200
    assert (bench.state.policy, bench.module.device.told.power_w) == ("charge", 500.0)
    found = problem(bench.ask("PUT", "/policy", Policy(kind="droop")))
    assert (found.code, found.found) == ("unknown_policy", "droop")
    assert things.Bench(things.Battery(), store=store, policies=policies).state.policy == "charge"


def test_self_consumption_takes_what_would_have_been_exported_and_idles_when_it_cannot_know(things):
    meter = element("meter", "meter", ac_measure=AcMeasureCapability(connection_point=True))
    battery = things.Battery(things.battery_element(), meter)
    battery.readings["meter"] = ElementState(ac_measure=AcMeasure(power_w=-900.0))
    bench = things.Bench(battery, policies={"self_consumption": self_consumption("meter", "battery")})
    assert battery.told.power_w == 900.0
    battery.readings["meter"] = ElementState(ac_measure=AcMeasure(power_w=250.0))
    bench.clock.move(1.0)
    assert battery.told.power_w == 650.0
    battery.readings["meter"] = ElementState(ac_measure=AcMeasure(power_w=None))
    bench.clock.move(2.0)
    assert battery.told.power_w == 0.0


def test_a_schedule_follows_the_day_and_idles_without_a_clock(things):
    slots = [ScheduleSlot(start_s=10, power_w=1000.0), ScheduleSlot(start_s=20, power_w=-2000.0)]
    policies = {"schedule": schedule("battery")}
    bench = things.Bench(things.Battery(), policies=policies)
    bench.ask("PUT", "/policy", Policy(kind="schedule", schedule=slots))
    told = bench.module.device
    assert told.told.power_w == -2000.0  # yesterday's last slot
    bench.clock.move(10.0)
    assert told.told.power_w == 1000.0
    bench.clock.move(20.0)
    assert told.told.power_w == -2000.0
    lost = things.Bench(things.Battery(), policies=policies, utc=lambda: None)
    lost.ask("PUT", "/policy", Policy(kind="schedule", schedule=slots))
    assert lost.module.device.told.power_w == 0.0
    assert lost.state.time is msgspec.UNSET


# -- settings and requests


def reserve(reserve_pct):
    return Settings(elements={"battery": ElementSettings(storage=StorageSettings(reserve_pct=reserve_pct))})


def test_a_reserve_is_not_discharged_while_the_grid_is_there(bench):
    assert bench.ask("PUT", "/settings", reserve(50.0)).body == codec.encode(reserve(50.0))
    outcome = bench.send({"battery": setpoint(-1000.0)}).outcomes["battery"].setpoint
    assert (outcome.power_w, outcome.limited_by) == (0.0, "reserve")
    assert bench.send({"battery": setpoint(1000.0)}).result == "applied"
    bench.device.soc_pct = 50.1
    bench.clock.move(1.0)
    assert bench.send({"battery": setpoint(-1000.0)}).result == "applied"
    assert bench.state.elements["battery"].storage.reserve_pct == 50.0


class Configured:
    """Wraps a battery that wants to know its settings."""

    def __init__(self, battery):
        self.battery, self.settings, self.refusal = battery, [], None
        self.elements, self.read, self.apply = battery.elements, battery.read, battery.apply

    def configure(self, element, settings):
        self.settings.append(settings.storage.reserve_pct)
        return self.refusal if settings.storage.reserve_pct > 0 else None


def test_a_device_hears_of_its_settings_and_hears_them_again_at_boot(things):
    store = MemoryStore()
    device = Configured(things.Battery())
    things.Bench(device, store=store).ask("PUT", "/settings", reserve(30.0))
    rebooted = Configured(things.Battery())
    things.Bench(rebooted, store=store)
    assert device.settings == rebooted.settings == [30.0]


def test_a_setting_that_the_device_refuses_or_the_disk_does_not_take_has_not_happened(things):
    store, device = FullDisk(), Configured(things.Battery())
    bench = things.Bench(device, store=store)
    device.refusal = Refused("the cells are too old")
    found = problem(bench.ask("PUT", "/settings", reserve(30.0)))
    assert (found.code, found.detail) == ("setting_refused", "device_refused: the cells are too old")
    device.refusal, store.full = None, True
    assert problem(bench.ask("PUT", "/settings", reserve(30.0))).code == "storage_failed"
    assert device.settings == [30.0, 0.0, 30.0, 0.0]
    assert bench.ask("GET", "/settings").body == codec.encode(reserve(0.0))


def test_an_unknown_charge_may_be_below_the_reserve(bench):
    bench.ask("PUT", "/settings", reserve(10.0))
    bench.device.soc_pct = None
    bench.clock.move(1.0)
    assert bench.device.told.produce_max_w == 0.0


def test_on_an_island_the_reserve_is_there_to_be_used(things):
    tie = element("tie", "tie", isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup"))
    battery = things.Battery(things.battery_element(), tie)
    battery.readings["tie"] = ElementState(isolate=Isolate(closed=True, grid_ok=True))
    bench = things.Bench(battery)
    bench.ask("PUT", "/settings", reserve(80.0))
    assert battery.told.produce_max_w == 0.0
    battery.readings["tie"] = ElementState(isolate=Isolate(closed=False, grid_ok=False))
    bench.clock.move(1.0)
    assert battery.told.produce_max_w == 4000.0


def test_a_tie_may_be_opened_or_permitted_to_close_but_never_closed(things):
    panel = things.Panel()
    bench = things.Bench(panel)

    def ask(request):
        reply = bench.ask("POST", "/requests", Request(element="tie", request=request))
        return codec.decode(RequestResult, reply.body)

    assert ask("open").result == "accepted"
    assert ask("permit_close").result == "accepted"
    assert (ask("close").result, ask("close").code) == ("refused", "unknown_request")
    panel.interlock = Refused("the island carries a load")
    assert ask("open").detail == "the island carries a load"
    assert panel.requests == [("tie", "open"), ("tie", "permit_close"), ("tie", "open")]


def test_every_code_that_a_module_sends_is_in_the_registry(pytestconfig):
    rows = yaml.safe_load((pytestconfig.rootpath / "standard" / "registry" / "errors.yaml").read_text())
    known = {row["code"]: (row["status"], row["title"]) for row in rows}
    assert {code: known.get(code) for code in TITLES} == TITLES
    source = "".join(path.read_text() for path in (pytestconfig.rootpath / "src/ores/module").glob("*.py"))
    answered = ("lease_other_boot", "lease_stale", "lease_old_epoch", "lease_old_seq", "not_controller")
    of_devices = ("unknown_mode", "unknown_request", "device_refused", "device_failed")
    faults = ("read_failed", "read_invalid", "apply_failed", "store_lost", "store_failed", "policy_failed")
    for code in (*answered, *of_devices, *faults):
        assert f'"{code}"' in source
        assert code in known
