"""Pairing: the two pure machines, and the same over real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.link.echo import HOST, House, house

from ores.link.client import LinkSession, pair
from ores.link.clock import RealClock
from ores.link.desk import PairingDesk, load_or_create_secret
from ores.link.endpoint import Peer, Reply
from ores.link.errors import ConfigError, Forbidden, PeerError
from ores.link.identity import Identity, new_identity
from ores.link.limits import Limits
from ores.link.pairing import HubPairing, ModulePairing, PairingRefused, code_of, new_secret, secret_of
from ores.link.pins import Pins
from ores.link.problems import TITLES
from ores.link.tls import client_context, server_context
from ores.model import PairingConfirm, PairingResult, PairingStart

SECRET = bytes(range(16))
MODULE, HUB, OTHER_HUB = new_identity(), new_identity(), new_identity()


def module(**options: object) -> ModulePairing:
    return ModulePairing(MODULE.fingerprint, SECRET, **options)  # type: ignore[arg-type]


def hub(secret: bytes = SECRET, identity: Identity = HUB, role: str = "controller") -> HubPairing:
    return HubPairing(identity, secret, name="hub", role=role)  # type: ignore[arg-type]


def shake(machine: ModulePairing, asking: HubPairing, now_s: float = 0.0) -> PairingResult:
    challenge = machine.start(now_s, asking.start())
    return machine.paired(machine.confirm(now_s, asking.confirm(MODULE.fingerprint, challenge)))


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(PairingRefused) as caught:
        act()
    return caught.value.code


def guess(machine: ModulePairing, now_s: float = 0.0) -> str:
    """A try of somebody who does not know the code, to its end."""
    start = hub(bytes(16)).start()
    machine.start(now_s, start)
    wrong = PairingConfirm(hub_nonce=start.hub_nonce, hub_proof="0" * 64)
    return refused(lambda: machine.confirm(now_s, wrong))


@given(st.binary(min_size=16, max_size=16))
def test_a_code_reads_back_however_it_is_typed(secret: bytes) -> None:
    code = code_of(secret)
    assert len(code) == 4 + 7 * 5
    assert secret_of(code) == secret_of(f" {code.lower().replace('-', ' ')} ") == secret
    assert secret_of(code[5:].replace("O", "0").replace("I", "1").replace("B", "8")) == secret


@given(st.binary(min_size=16, max_size=16), st.integers(0, 27), st.integers(1, 31))
def test_one_wrong_symbol_never_reaches_the_module(secret: bytes, at: int, shift: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    symbols = code_of(secret)[5:].replace("-", "")
    wrong = alphabet[(alphabet.index(symbols[at]) + shift) % 32]
    with pytest.raises(ConfigError):
        secret_of(symbols[:at] + wrong + symbols[at + 1 :])


@given(st.binary(min_size=16, max_size=16), st.integers(0, 25), st.integers(0, 25))
def test_two_swapped_symbols_never_reach_the_module(secret: bytes, one: int, two: int) -> None:
    symbols = list(code_of(secret)[5:].replace("-", ""))
    if symbols[one] == symbols[two]:
        return
    symbols[one], symbols[two] = symbols[two], symbols[one]
    with pytest.raises(ConfigError):
        secret_of("".join(symbols))


@pytest.mark.parametrize("code", ["", "ORES-1234", "ORES-!!!!-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", "A" * 100])
def test_what_is_no_code_is_told_without_repeating_it(code: str) -> None:
    with pytest.raises(ConfigError, match="pairing code: found") as caught:
        secret_of(code)
    assert not code or code not in str(caught.value)


def test_both_sides_end_with_the_other_ones_key() -> None:
    machine, asking = module(), hub()
    challenge = machine.start(0, asking.start())
    pinned = machine.confirm(0, asking.confirm(MODULE.fingerprint, challenge))
    assert (pinned.fingerprint, pinned.role, pinned.name) == (HUB.fingerprint, "controller", "hub")
    result = machine.paired(pinned)
    assert asking.finish(MODULE.certificate, MODULE.fingerprint, result).id == MODULE.id


def test_a_hub_finds_out_who_sits_in_between() -> None:
    machine, asking, middle = module(), hub(), new_identity()
    challenge = machine.start(0, asking.start())  # relayed by whoever answered the hub's TLS
    assert refused(lambda: asking.confirm(middle.fingerprint, challenge)) == "pairing_wrong_code"


def test_a_module_finds_out_when_the_hubs_key_was_replaced() -> None:
    machine, asking, middle = module(), hub(), new_identity()
    start = asking.start()
    theirs = PairingStart(
        hub_certificate=base64.b64encode(middle.certificate).decode(),
        hub_nonce=start.hub_nonce,
        name=start.name,
        role=start.role,
    )
    challenge = machine.start(0, theirs)
    assert refused(lambda: asking.confirm(MODULE.fingerprint, challenge)) == "pairing_wrong_code"


def test_a_proof_of_one_side_is_none_of_the_other() -> None:
    machine, asking = module(), hub(bytes(16))
    start = asking.start()
    challenge = machine.start(0, start)
    reflected = PairingConfirm(hub_nonce=start.hub_nonce, hub_proof=challenge.module_proof)
    assert refused(lambda: machine.confirm(0, reflected)) == "pairing_wrong_code"


def test_five_wrong_tries_lock_and_the_right_code_comes_too_late() -> None:
    machine = module()
    assert [guess(machine) for _ in range(5)] == ["pairing_wrong_code"] * 5
    assert refused(lambda: shake(machine, hub())) == "pairing_locked"
    assert machine.status(0).closed_because == "pairing_locked"


def test_tries_that_are_never_finished_count_too() -> None:
    machine = module()
    for _ in range(5):
        machine.start(0, hub(bytes(16)).start())
    assert refused(lambda: machine.start(0, hub().start())) == "pairing_locked"


def test_the_fifth_try_may_still_be_right() -> None:
    machine = module()
    for _ in range(4):
        guess(machine)
    assert shake(machine, hub()).role == "controller"


def test_each_lock_out_holds_the_button_off_for_longer() -> None:
    machine, now_s = module(), 0.0
    waits = []
    for _ in range(10):
        for _ in range(5):
            guess(machine, now_s)
        waits.append(machine.press_button(now_s))
        now_s += waits[-1]
        assert machine.press_button(now_s) == 0
    assert waits[:4] == [30, 60, 120, 240]
    assert waits[-1] == 3600
    assert shake(machine, hub(), now_s).role == "controller"


def test_a_paired_module_listens_for_ten_minutes_after_its_button() -> None:
    machine = module(controller=HUB.fingerprint, allow_observers=True)
    observer = hub(identity=OTHER_HUB, role="observer")
    assert refused(lambda: machine.start(0, observer.start())) == "pairing_closed"
    machine.press_button(1000)
    assert machine.status(1599).open
    assert not machine.status(1600).open
    assert shake(machine, observer, 1599).role == "observer"
    assert refused(lambda: machine.start(1599, hub().start())) == "pairing_closed"  # one pairing per press


def test_one_hub_controls() -> None:
    machine = module(controller=HUB.fingerprint)
    machine.press_button(0)
    assert refused(lambda: machine.start(0, hub(identity=OTHER_HUB).start())) == "pairing_has_controller"
    assert (
        refused(lambda: machine.start(0, hub(identity=OTHER_HUB, role="observer").start()))
        == "pairing_role_refused"
    )
    assert shake(machine, hub()).role == "controller"  # the same hub may pair again


def test_a_replayed_pairing_is_refused_with_its_own_code() -> None:
    machine, asking = module(), hub()
    start = asking.start()
    confirm = asking.confirm(MODULE.fingerprint, machine.start(0, start))
    machine.confirm(0, confirm)  # the caller could not keep the pin: the module stays unpaired and listens
    assert refused(lambda: machine.start(0, start)) == "pairing_replayed"
    assert refused(lambda: machine.confirm(0, confirm)) == "pairing_replayed"
    never = PairingConfirm(hub_nonce="a" * 64, hub_proof=confirm.hub_proof)
    assert refused(lambda: machine.confirm(0, never)) == "pairing_not_started"


def test_a_confirmation_of_another_start_leaves_this_one_waiting() -> None:
    machine, asking = module(), hub()
    confirm = asking.confirm(MODULE.fingerprint, machine.start(0, asking.start()))
    other = PairingConfirm(hub_nonce="a" * 64, hub_proof=confirm.hub_proof)
    assert refused(lambda: machine.confirm(0, other)) == "pairing_not_started"
    assert machine.confirm(0, confirm).role == "controller"


def test_the_status_says_what_the_next_start_would_hear() -> None:
    machine = module()
    for _ in range(5):
        assert machine.status(0).open
        machine.start(0, hub().start())
    assert machine.status(0).closed_because == "pairing_locked"
    assert refused(lambda: machine.start(0, hub().start())) == "pairing_locked"


def test_a_last_try_that_was_right_leaves_no_lock_out() -> None:
    machine = module()
    for _ in range(4):
        machine.start(0, hub().start())
    asking = hub()
    machine.paired(machine.confirm(0, asking.confirm(MODULE.fingerprint, machine.start(0, asking.start()))))
    assert machine.status(0).closed_because == "pairing_closed"
    assert machine.press_button(0) == 0


def test_a_confirmation_comes_within_a_minute() -> None:
    machine, asking = module(), hub()
    confirm = asking.confirm(MODULE.fingerprint, machine.start(0, asking.start()))
    assert refused(lambda: machine.confirm(60.1, confirm)) == "pairing_replayed"


def test_after_a_transfer_the_old_label_is_void() -> None:
    machine, new = module(controller=HUB.fingerprint), new_secret()
    machine.reset(new)
    assert refused(lambda: shake(machine, hub())) == "pairing_wrong_code"
    assert shake(machine, hub(new, OTHER_HUB)).role == "controller"


@pytest.mark.parametrize("certificate", [b"x" * 128, HUB.certificate[:-3], HUB.certificate + b"\0" * 800])
def test_a_certificate_that_cannot_be_pinned_costs_no_try(certificate: bytes) -> None:
    machine = module()
    start = PairingStart(
        hub_certificate=base64.b64encode(certificate).decode(),
        hub_nonce="b" * 64,
        name="h",
        role="controller",
    )
    assert refused(lambda: machine.start(0, start)) == "pairing_bad_certificate"


async def test_pairing_over_sockets_makes_two_peers() -> None:
    async with house(paired=False) as home:
        home.module_pin = await pair(
            HOST,
            home.server.port,
            home.hub,
            home.desk.code.lower(),
            home.clock,
            name="home",
            expected_id=home.module.id,
        )
        session = await home.connect()
        assert (await session.request("GET", "/state")).status == 200
        assert home.echo.peers[0].role == "controller"
        await session.close()


async def test_five_wrong_codes_over_sockets_lock_the_module_until_its_button() -> None:
    async with house(paired=False) as home:
        port, wrong = home.server.port, code_of(new_secret())
        for _ in range(5):
            with pytest.raises(Forbidden) as caught:
                await pair(HOST, port, home.hub, wrong, home.clock, name="home")
            assert caught.value.code == "pairing_wrong_code"
        with pytest.raises(PairingRefused, match="button") as locked:
            await pair(HOST, port, home.hub, home.desk.code, home.clock, name="home")
        assert locked.value.code == "pairing_locked"
        assert 0 < (locked.value.retry_after_s or 0) <= 30
        assert home.desk.press_button() > 0
        home.clock.skipped_s += 30
        assert home.desk.press_button() == 0
        await pair(HOST, port, home.hub, home.desk.code, home.clock, name="home")
        assert home.pins.controller() is not None


async def test_a_replay_over_sockets_gets_its_own_problem() -> None:
    async with house(paired=False) as home:
        asking, stranger = HubPairing(home.hub, SECRET, name="home"), home.stranger()
        body = json.dumps(
            {
                "hub_certificate": asking.start().hub_certificate,
                "hub_nonce": "c" * 64,
                "name": "h",
                "role": "controller",
            }
        ).encode()
        assert (await stranger.request("POST", "/pairing/start", body)).status == 200
        reply = await stranger.request("POST", "/pairing/start", body)
        assert (reply.status, json.loads(reply.body)["code"]) == (409, "pairing_replayed")
        for bad in (b"{", body.replace(b'"name"', b'"nahme"'), body[:-1] + b',"x":1}', b"[" * 4000):
            reply = await stranger.request("POST", "/pairing/start", bad)
            assert (reply.status, json.loads(reply.body)["code"]) == (400, "invalid_message")
        await stranger.close()


async def test_whoever_relays_a_pairing_is_found() -> None:
    """A real man in the middle: own key towards the hub, everything passed on to the module."""
    async with house(paired=False) as home:
        middle = new_identity()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner, outer = await asyncio.open_connection(
                HOST, home.server.port, ssl=client_context(None, None), server_hostname="x.ores"
            )

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                with contextlib.suppress(OSError):
                    while data := await source.read(4096):
                        sink.write(data)
                sink.transport.abort()

            await asyncio.gather(pump(reader, outer), pump(inner, writer))

        server = await asyncio.start_server(relay, HOST, 0, ssl=server_context(middle, Pins()))
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PairingRefused, match="somebody else answered"):
            await pair(HOST, port, home.hub, home.desk.code, home.clock, name="home")
        with pytest.raises(Forbidden) as known:
            await pair(
                HOST, port, home.hub, home.desk.code, home.clock, name="home", expected_id=home.module.id
            )
        assert known.value.code == "wrong_key"
        assert len(home.pins) == 0
        server.close()
        await server.wait_closed()


async def test_a_full_disk_leaves_both_sides_unpaired(tmp_path: Path) -> None:
    async with house(paired=False) as home:
        blocked = tmp_path / "file"
        blocked.write_text("")
        home.pins._path = blocked / "pins.json"  # type: ignore[misc]
        stranger = LinkSession(HOST, home.server.port, None, None, home.clock, limits=Limits())
        with pytest.raises(PeerError, match=r"pins\.json") as refused:
            await pair(HOST, home.server.port, home.hub, home.desk.code, home.clock, name="home")
        assert refused.value.code == "storage_failed"
        assert str(tmp_path) not in str(refused.value)
        assert json.loads((await stranger.request("GET", "/pairing")).body) == {"open": True, "paired": False}
        await stranger.close()


def test_the_label_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "pairing_code"
    secret = load_or_create_secret(path)
    assert load_or_create_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("ORES-what")
    with pytest.raises(ConfigError, match=r"pairing_code: found .no code"):
        load_or_create_secret(path)


@pytest.mark.parametrize("body", [b'{"hub_nonce":"a","hub_proof":"%s"}', b'{"x":"%s"}', b"%s"])
def test_no_answer_to_a_pairing_repeats_what_may_be_a_code(body: bytes) -> None:
    desk = PairingDesk(MODULE, Pins(), RealClock(), secret=SECRET)
    code = desk.code.encode()
    reply = desk.answer("POST", "/pairing/confirm", body % code)
    assert json.loads(reply.body)["code"] == "invalid_message"
    assert code not in reply.body


def test_a_pairing_that_is_too_long_is_told_so() -> None:
    desk = PairingDesk(MODULE, Pins(), RealClock(), secret=SECRET)
    reply = desk.answer("POST", "/pairing/start", b" " * 4097)
    problem = json.loads(reply.body)
    assert (reply.status, problem["code"]) == (413, "too_large")
    assert (problem["found"], problem["allowed"]) == ("4097 bytes", "at most 4096 bytes")


def test_a_reset_forgets_every_hub() -> None:
    pins = Pins()
    desk = PairingDesk(MODULE, pins, RealClock(), secret=SECRET)
    machine_hub = hub()
    shake_body = json.dumps(
        {
            "hub_certificate": machine_hub.start().hub_certificate,
            "hub_nonce": machine_hub.start().hub_nonce,
            "name": "h",
            "role": "controller",
        }
    ).encode()
    challenge = json.loads(desk.answer("POST", "/pairing/start", shake_body).body)
    assert set(challenge) == {"module_nonce", "module_proof"}
    desk.reset(new_secret())
    assert len(pins) == 0
    assert desk.code != code_of(SECRET)


def test_a_reset_ends_a_lock_out_and_forgets_how_often_there_was_one() -> None:
    machine, new = module(), new_secret()
    for _ in range(5):
        guess(machine)
    assert machine.status(0.0).open is False
    machine.reset(new)
    assert machine.status(0.0).open is True
    assert shake(machine, hub(new)).role == "controller"
    machine.reset(new)
    for _ in range(5):
        guess(machine)
    assert machine.status(0.0).open is False
    assert machine.press_button(0.0) == 30.0


def test_the_registry_and_the_code_agree() -> None:
    path = Path(__file__).parents[2] / "standard/registry/errors.yaml"
    rows = {row["code"]: (row["status"], row["title"]) for row in yaml.safe_load(path.read_text())}
    assert {code: rows.get(code) for code in TITLES} == TITLES


def hang_up(home: House) -> None:
    for transport, _ in tuple(home.server._web._inside.values()):
        transport.abort()


async def test_a_pairing_whose_last_answer_got_lost_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(paired=False) as home:
        answer = home.desk.answer

        def cut(method: str, path: str, body: bytes, _peer: Peer) -> Reply:
            reply = answer(method, path, body)
            if path == "/pairing/confirm":
                hang_up(home)  # after the module has kept our key
            return reply

        monkeypatch.setattr(home.desk, "answer", cut)
        home.module_pin = await pair(
            HOST, home.server.port, home.hub, home.desk.code, home.clock, name="home"
        )
        await (await home.connect()).close()


async def test_an_answer_lost_before_the_module_agreed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(paired=False) as home:
        answer = home.desk.answer

        def cut(method: str, path: str, body: bytes, _peer: Peer) -> Reply:
            if path == "/pairing/confirm":
                hang_up(home)
                return answer("GET", "/pairing", b"")
            return answer(method, path, body)

        monkeypatch.setattr(home.desk, "answer", cut)
        with pytest.raises(Forbidden, match="pair with it first"):
            await pair(HOST, home.server.port, home.hub, home.desk.code, home.clock, name="home")
