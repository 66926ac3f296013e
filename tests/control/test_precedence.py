import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.control_homes import (
    BAT,
    BAT2,
    EV,
    PV,
    battery,
    battery_state,
    charger,
    charger_state,
    meter,
    meter_state,
    once,
    pv,
    pv_state,
    setpoint_w,
    snap,
    wants,
)

from ores.control.memory import ChargerMemory, Memory, Sent
from ores.control.offers import RANKS, Offer, prepare
from ores.model import Proposal

CONNECTION = "connection"


def offer(subject: str, rank: str, **asks: float) -> Offer:
    return Offer(
        subject=subject, rank=RANKS.index(rank), source=f"{rank} source", rule=rank, reason="because", **asks
    )


def test_the_stronger_wish_wins() -> None:
    home = snap([(meter(), meter_state(0.0)), (battery(), battery_state(0.0))])
    plan, owner = (
        offer(f"{BAT}/battery", "plan", power_w=1000.0),
        offer(f"{BAT}/battery", "owner_wish", power_w=-700.0),
    )
    assert setpoint_w(once(home, [plan, owner])) == setpoint_w(once(home, [owner, plan])) == -700.0


def test_a_wish_beats_self_consumption_and_a_bound_narrows_the_wish() -> None:
    home = snap([(meter(), meter_state(0.0)), (battery(), battery_state(0.0))])
    asks = [
        offer(f"{BAT}/battery", "plan", power_w=4000.0),
        offer(f"{BAT}/battery", "grid_obligation", consume_max_w=1500.0),
    ]
    decided = once(home, asks)
    assert setpoint_w(decided) == 1500.0
    assert decided.rulings[f"{BAT}/battery"].limited_by == ("grid_obligation source",)


def test_an_expired_proposal_says_nothing() -> None:
    home = snap([(meter(), meter_state(0.0)), (battery(), battery_state(0.0))])
    old = msgspec.structs.replace(offer(f"{BAT}/battery", "plan", power_w=4000.0), expires_at_s=99.0)
    assert setpoint_w(once(home, [old])) == 0.0


def test_a_proposal_without_its_subject_is_refused_by_name() -> None:
    bad = msgspec.convert(
        {
            "subject": {"kind": "element", "module": BAT},
            "rank": "plan",
            "source": "s",
            "reason": "r",
            "ttl_s": 5.0,
        },
        Proposal,
    )
    with pytest.raises(ValueError, match=r"subject\.element is absent"):
        prepare(bad, 0.0)


def test_a_proposal_lives_from_its_arrival() -> None:
    good = msgspec.convert(
        {
            "subject": {"kind": "connection"}, "rank": "owner_bounds", "source": "s", "reason": "r",
            "ttl_s": 5.0,
            "bounds": {"produce_max_w": 10.0, "soc_min_pct": 30.0}, "wish": {"power_w": -5.0},
        },
        Proposal,
    )  # fmt: skip
    ready = prepare(good, 100.0)
    assert (ready.subject, ready.expires_at_s, ready.produce_max_w, ready.soc_min_pct, ready.power_w) == (
        "connection", 105.0, 10.0, 30.0, -5.0,
    )  # fmt: skip


def test_a_utility_limit_at_the_connection_holds_the_batteries_back() -> None:
    home = snap([(meter(), meter_state(1000.0)), (battery(), battery_state(0.0))])
    asks = [
        offer(f"{BAT}/battery", "plan", power_w=4000.0),
        offer(CONNECTION, "grid_obligation", consume_max_w=3000.0),
    ]
    assert setpoint_w(once(home, asks)) == 2000.0


def test_limits_at_the_connection_are_shared_by_rank_then_pro_rata() -> None:
    home = snap(
        [(meter(), meter_state(0.0)), (battery(), battery_state(0.0)), (battery(BAT2), battery_state(0.0))]
    )
    limit = offer(CONNECTION, "grid_obligation", consume_max_w=3000.0)
    equals = [
        offer(f"{BAT}/battery", "plan", power_w=4000.0),
        offer(f"{BAT2}/battery", "plan", power_w=2000.0),
    ]
    decided = once(home, [limit, *equals])
    assert (setpoint_w(decided), setpoint_w(decided, BAT2)) == (2000.0, 1000.0)
    ranked = [
        offer(f"{BAT}/battery", "plan", power_w=4000.0),
        offer(f"{BAT2}/battery", "owner_wish", power_w=2000.0),
    ]
    decided = once(home, [limit, *ranked])
    assert (setpoint_w(decided), setpoint_w(decided, BAT2)) == (1000.0, 2000.0)


ELEMENTS = (f"{BAT}/battery", f"{BAT2}/battery", f"{EV}/evse", f"{PV}/pv0")
SUBJECTS = (*ELEMENTS, BAT, CONNECTION, "L1")
watts = st.one_of(st.just(0.0), st.floats(0.0, 8000.0))


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    asks: dict[str, float] = {}
    for bound in ("consume_max_w", "produce_max_w"):
        if draw(st.booleans()):
            asks[bound] = draw(watts)
    if draw(st.booleans()):
        asks["current_max_a"] = draw(st.floats(0.0, 40.0))
    if draw(st.booleans()):
        asks["soc_min_pct"] = draw(st.floats(0.0, 100.0))
    if draw(st.booleans()):
        asks["power_w"] = draw(st.floats(-8000.0, 8000.0))
    return offer(draw(st.sampled_from(SUBJECTS)), draw(st.sampled_from(RANKS)), **asks)


@st.composite
def homes(draw: st.DrawFn):
    power = st.one_of(st.none(), st.floats(-20000.0, 20000.0))
    soc = st.one_of(st.none(), st.floats(0.0, 100.0))
    preferences = wants(
        self_consumption=draw(st.booleans()),
        ev_mode=draw(st.sampled_from(["off", "surplus", "fast"])),
        reserve_pct=draw(st.floats(0.0, 100.0)),
    )
    extra = {
        "export_max_w": draw(st.one_of(st.none(), watts)),
        "import_max_w": draw(st.one_of(st.none(), watts)),
    }
    preferences = msgspec.structs.replace(preferences, **{k: v for k, v in extra.items() if v is not None})
    sun = pv_state(
        draw(st.floats(-6000.0, 0.0)), draw(st.one_of(st.none(), watts)), draw(st.floats(0.0, 6000.0))
    )
    connected = draw(st.sampled_from([None, True, False]))
    car = charger_state(draw(st.floats(0.0, 11000.0)), draw(st.floats(0.0, 16.0)), connected=connected)
    modules = [
        (meter(3, 25.0), meter_state(draw(power))),
        (battery(), battery_state(draw(power), draw(soc))),
        (battery(BAT2, step_w=100.0, consume_min_w=300.0), battery_state(draw(power), draw(soc))),
        (pv(), sun),
        (charger(), car),
    ]
    stale = frozenset(draw(st.sets(st.sampled_from([d.id for d, _ in modules]), max_size=2)))
    return snap(modules, preferences, stale=stale)


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    number = st.floats(-20000.0, 20000.0)
    when = st.floats(0.0, 99.0)
    sent = st.lists(st.builds(Sent, when, number), min_size=1, max_size=4).map(
        lambda found: tuple(sorted(found, key=lambda s: s.at_s))
    )
    since = st.one_of(st.none(), when)
    return Memory(
        sent=draw(st.dictionaries(st.sampled_from(ELEMENTS), sent)),
        rest_w=draw(st.one_of(st.none(), number)),
        fixed=draw(
            st.dictionaries(
                st.sampled_from([CONNECTION, "L1", "surplus", "export", "allowed", ELEMENTS[3]]), number
            )
        ),
        chargers=draw(st.dictionaries(st.just(f"{EV}/evse"), st.builds(ChargerMemory, since, since))),
        above=draw(st.dictionaries(st.sampled_from(ELEMENTS[:2]), st.just(True))),
        time_s=99.0,
    )


@st.composite
def tight_homes(draw: st.DrawFn):
    """Everything is known and near its limit, so that what is remembered matters."""
    preferences = wants(
        ev_mode=draw(st.sampled_from(["surplus", "fast"])),
        export_max_w=draw(st.floats(0.0, 4000.0)),
        import_max_w=draw(st.floats(2000.0, 12000.0)),
    )
    output = draw(st.floats(0.0, 6000.0))
    modules = [
        (meter(3, 63.0), meter_state(draw(st.floats(-6000.0, 9000.0)))),
        (battery(), battery_state(draw(st.floats(-3000.0, 3000.0)), 50.0)),
        (pv(), pv_state(-output, output, draw(st.floats(0.0, 6000.0)))),
        (charger(1, 32.0), charger_state(draw(st.floats(0.0, 7000.0)), draw(st.floats(6.0, 32.0)))),
    ]
    number = st.floats(-6000.0, 9000.0)
    memory = Memory(
        sent={key: (Sent(1.0, draw(number)), Sent(99.0, draw(number))) for key in (ELEMENTS[0], ELEMENTS[2])},
        fixed={name: draw(number) for name in (CONNECTION, "surplus", "export", "allowed", ELEMENTS[3])},
        chargers={ELEMENTS[2]: ChargerMemory(1.0, draw(st.sampled_from([None, 1.0, 98.0])))},
    )
    return snap(modules, preferences), memory


def limits_of(decided) -> dict[tuple[str, str, str], float]:
    found = {}
    for mid, elements in decided.commands.items():
        for element, command in elements.items():
            limit = command.limit
            for name in ("consume_max_w", "produce_max_w", "current_max_a"):
                value = msgspec.UNSET if limit is msgspec.UNSET else getattr(limit, name)
                if value is not msgspec.UNSET:
                    found[mid, element, name] = value
    return found


@settings(max_examples=60, deadline=None)
@given(homes(), st.lists(offers(), max_size=5), memories())
def test_losing_the_memory_never_widens_a_limit(home, asks: list[Offer], memory: Memory) -> None:
    known, lost = limits_of(once(home, asks, memory)), limits_of(once(home, asks))
    assert known.keys() == lost.keys()
    for key, value in lost.items():
        assert value <= known[key] + 1e-6, key


@settings(max_examples=300, deadline=None)
@given(tight_homes())
def test_losing_the_memory_never_widens_a_limit_that_binds(home_and_memory) -> None:
    home, memory = home_and_memory
    known, lost = limits_of(once(home, [], memory)), limits_of(once(home))
    for key, value in lost.items():
        assert value <= known[key] + 1e-6, key


@settings(max_examples=60, deadline=None)
@given(homes(), st.lists(offers(), max_size=5), offers(), memories())
def test_one_more_bound_never_widens_a_limit(home, asks: list[Offer], more: Offer, memory: Memory) -> None:
    more = msgspec.structs.replace(more, power_w=None)
    # Through another's share more may be left for one, so only the subject's own limits are compared.
    before, after = limits_of(once(home, asks, memory)), limits_of(once(home, [*asks, more], memory))
    for (mid, element, name), value in after.items():
        if more.subject in {mid, f"{mid}/{element}"}:
            assert value <= before[mid, element, name] + 1e-6


@settings(max_examples=60, deadline=None)
@given(homes(), st.lists(offers(), max_size=6), memories())
def test_no_command_exceeds_rating_range_or_bound(home, asks: list[Offer], memory: Memory) -> None:
    decided = once(home, asks, memory)
    for (mid, element, name), value in limits_of(decided).items():
        place = home.topology.places[f"{mid}/{element}"]
        assert 0.0 <= value <= getattr(place, name)
        for ask in asks:
            if ask.subject == place.key:
                assert value <= getattr(ask, name) + 1e-6
    for mid, elements in decided.commands.items():
        for element, command in elements.items():
            if command.setpoint is msgspec.UNSET:
                continue
            power = command.setpoint.power_w
            assert -5000.0 <= power <= 5000.0
            bounds = [ask for ask in asks if ask.subject in {mid, f"{mid}/{element}"}]
            assert power <= min([ask.consume_max_w for ask in bounds], default=5000.0) + 1e-6
            assert -power <= min([ask.produce_max_w for ask in bounds], default=5000.0) + 1e-6


@settings(max_examples=60, deadline=None)
@given(homes(), st.lists(offers(), max_size=6))
def test_a_weaker_wish_changes_nothing_where_a_stronger_one_holds(home, asks: list[Offer]) -> None:
    strong = offer(f"{BAT}/battery", "equipment", power_w=-1200.0)
    weak = [msgspec.structs.replace(a, rank=RANKS.index("plan")) for a in asks if a.power_w is not None]
    weak = [
        Offer(subject=f"{BAT}/battery", rank=a.rank, source="w", rule="w", reason="w", power_w=a.power_w)
        for a in weak
    ]
    alone, together = once(home, [strong]), once(home, [strong, *weak])
    assert alone.commands == together.commands


@settings(max_examples=40, deadline=None)
@given(homes(), st.lists(offers(), max_size=6), memories())
def test_memory_and_commands_survive_the_wire(home, asks: list[Offer], memory: Memory) -> None:
    decided = once(home, asks, memory)
    assert msgspec.json.decode(msgspec.json.encode(decided.memory), type=Memory) == decided.memory
    for ruling in decided.rulings.values():
        assert ruling.reason
        assert len(ruling.decision("2026-01-01T00:00:00Z").reason) <= 512
