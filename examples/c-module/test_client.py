"""A small hub, written from the standard alone: pairs with a module, reads it, leases to it.

    python test_client.py MODULE [ARGUMENTS...]

starts the module program (with a fresh state folder), runs every check below against it, and says what fails.
Needs Python 3.11, aiohttp and cryptography.
"""

# A test with real sockets and real time, whose functions are named by what they check.
# ruff: noqa: ARG001, D102, D103, PLR0917, PT018, PYI034, S101, SIM117, TID251

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DER, SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


class Hub:
    """A key, its certificate, and TLS contexts to be a stranger or a peer with."""

    def __init__(self, folder: Path, cn: str | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.fingerprint = hashlib.sha256(self.key.public_key().public_bytes(DER, SPKI)).digest()
        self.id = base64.b32encode(self.fingerprint[:16]).decode().rstrip("=").lower()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, cn or self.id)])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
            .not_valid_after(dt.datetime(2001, 1, 1, tzinfo=dt.UTC))  # long over: nobody minds (IDENT-008)
            .sign(self.key, hashes.SHA256())
        )
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + self.certificate.public_bytes(serialization.Encoding.PEM)
        path = folder / f"{self.id}.pem"
        path.write_bytes(pem)
        self.tls = tls_context()
        self.tls.load_cert_chain(path)

    def start(self, role: str, nonce: str | None = None) -> dict:
        der = self.certificate.public_bytes(DER)
        return {
            "hub_certificate": base64.b64encode(der).decode(),
            "hub_nonce": nonce or secrets.token_hex(32),
            "name": "Test hub",
            "role": role,
        }


def tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def secret_of(code: str) -> bytes:
    return base64.b32decode(code.removeprefix("ORES-").replace("-", "")[:26] + "======")


def proof(secret: bytes, whose: str, module: bytes, hub: Hub, start: dict, module_nonce: str) -> str:
    message = b"ORES-PAIRING-1 " + whose.encode() + b"\0" + module + hub.fingerprint
    message += bytes.fromhex(start["hub_nonce"]) + bytes.fromhex(module_nonce) + start["role"].encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


class Module:
    """The program under test."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.command, self.folder = command, folder

    async def boot(self, *options: str) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            "--port",
            "0",
            "--state",
            str(self.folder / "state"),
            *options,
            stdout=asyncio.subprocess.PIPE,
        )
        await self.read_ready()

    async def read_ready(self) -> None:
        ready = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 5))
        self.url, self.id, self.code = ready["url"], ready["id"], ready["code"]

    async def halt(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), 5)

    async def ask(self, tls: ssl.SSLContext, method: str, path: str, body=None, raw: bytes | None = None):
        """Status and decoded body, on a connection of its own."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connector = aiohttp.TCPConnector(ssl=tls)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.request(method, self.url + path, data=data) as answer:
                if answer.status >= 400:
                    assert answer.content_type == "application/problem+json", answer.content_type
                found = json.loads(await answer.read())
                assert answer.status < 400 or found["status"] == answer.status
                return answer.status, found

    async def pair(self, hub: Hub, role: str = "controller") -> None:
        stranger = tls_context()
        start = hub.start(role)
        status, challenge = await self.ask(stranger, "POST", "/pairing/start", start)
        assert status == 200, challenge
        fingerprint = await self.fingerprint()
        secret = secret_of(self.code)
        expected = proof(secret, "module", fingerprint, hub, start, challenge["module_nonce"])
        assert challenge["module_proof"] == expected
        answer = proof(secret, "hub", fingerprint, hub, start, challenge["module_nonce"])
        confirm = {"hub_nonce": start["hub_nonce"], "hub_proof": answer}
        status, result = await self.ask(stranger, "POST", "/pairing/confirm", confirm)
        assert (status, result) == (200, {"role": role, "module_id": self.id}), result
        status, result = await self.ask(stranger, "POST", "/pairing/confirm", confirm)
        assert result["code"] == "pairing_replayed"

    async def certificate(self) -> bytes:
        port = int(self.url.split(":")[2].split("/")[0])
        _, writer = await asyncio.open_connection("localhost", port, ssl=tls_context())
        der = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
        return der

    async def fingerprint(self) -> bytes:
        der = await self.certificate()
        certificate = x509.load_der_x509_certificate(der)
        spki = certificate.public_key().public_bytes(DER, SPKI)
        assert len(der) <= 1024 and certificate.subject == certificate.issuer
        return hashlib.sha256(spki).digest()


class Stream:
    """A stream, with the newest state at hand."""

    def __init__(self, module: Module, hub: Hub) -> None:
        self.module, self.hub, self.seq = module, hub, 0

    async def __aenter__(self) -> "Stream":
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.hub.tls))
        self.socket = await self.session.ws_connect(self.module.url + "/stream")
        self.state = (await self.frame())["state"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self.session.close()

    async def frame(self) -> dict:
        message = await asyncio.wait_for(self.socket.receive(), 3)
        assert message.type == aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def next_state(self) -> dict:
        while "state" not in (found := await self.frame()):
            pass
        self.state = found["state"]
        return self.state

    async def answer(self, text: str) -> dict:
        await self.socket.send_str(text)
        while "state" in (found := await self.frame()):
            self.state = found["state"]
        return found

    async def lease(self, elements: dict, epoch: int = 1, ttl_s: float = 10, **other: object) -> dict:
        self.seq += 1
        asked = {
            "epoch": epoch,
            "seq": self.seq,
            "boot_id": self.state["boot_id"],
            "uptime_ms": self.state["uptime_ms"],
            "ttl_s": ttl_s,
            "elements": elements,
        }
        return (await self.answer(json.dumps({"lease": asked | other})))["result"]

    async def battery_after(self, seconds: float) -> dict:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.next_state()
        return self.state["elements"]["battery"]


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
async def a_stranger_learns_what_it_could_pair_with(module: Module, hub: Hub) -> None:
    stranger = tls_context()
    _, public = await module.ask(stranger, "GET", "/description")
    assert set(public) == {"ores", "id", "maker", "model", "profiles"}
    assert await module.ask(stranger, "GET", "/pairing") == (200, {"open": True, "paired": False})
    for method, path, status in [
        ("GET", "/state", 403),
        ("GET", "/stream", 403),
        ("PUT", "/lease", 403),
        ("DELETE", "/pairing", 403),
        ("GET", "/nothing", 404),
        ("DELETE", "/state", 405),
        ("GET", "/description?page=2", 404),
    ]:
        assert (await module.ask(stranger, method, path))[0] == status, path


@check
async def an_unknown_key_is_not_answered(module: Module, hub: Hub) -> None:
    try:
        await module.ask(hub.tls, "GET", "/description")
    except (aiohttp.ClientError, ssl.SSLError, ConnectionError):
        return
    raise AssertionError("answered")


@check
async def a_wrong_code_and_a_bad_certificate_are_refused(module: Module, hub: Hub) -> None:
    stranger, start = tls_context(), hub.start("controller")
    await module.ask(stranger, "POST", "/pairing/start", start)
    confirm = {"hub_nonce": start["hub_nonce"], "hub_proof": "0" * 64}
    for code in ("pairing_wrong_code", "pairing_replayed"):
        assert (await module.ask(stranger, "POST", "/pairing/confirm", confirm))[1]["code"] == code
    never = {"hub_nonce": "1" * 64, "hub_proof": "0" * 64}
    found = await module.ask(stranger, "POST", "/pairing/confirm", never)
    assert found[1]["code"] == "pairing_not_started"
    assert (await module.ask(stranger, "POST", "/pairing/start", start))[1]["code"] == "pairing_replayed"
    other = Hub(module.folder, cn="somebody")
    found = await module.ask(stranger, "POST", "/pairing/start", other.start("controller"))
    assert found[1]["code"] == "pairing_bad_certificate"
    found = await module.ask(stranger, "POST", "/pairing/start", hub.start("observer"))
    assert found[1]["code"] == "pairing_role_refused"


@check
async def a_hub_pairs_once(module: Module, hub: Hub) -> None:
    await module.pair(hub)
    status = (await module.ask(tls_context(), "GET", "/pairing"))[1]
    assert status == {"open": False, "paired": True, "closed_because": "pairing_closed"}
    found = await module.ask(tls_context(), "POST", "/pairing/start", hub.start("controller"))
    assert found[1]["code"] == "pairing_closed"


@check
async def a_lease_is_followed_and_ends(module: Module, hub: Hub) -> None:
    async with Stream(module, hub) as stream:
        result = await stream.lease({"battery": {"setpoint": {"power_w": 1505}}}, ttl_s=4)
        assert result == {"epoch": 1, "seq": 1, "result": "applied"}, result
        battery = await stream.battery_after(2.5)
        assert battery["ac_measure"]["power_w"] == 1500, battery
        assert stream.state["control_source"] == "lease" and stream.state["lease"]["seq"] == 1
        battery = await stream.battery_after(3)
        assert battery["ac_measure"]["power_w"] == 0 and "lease" not in stream.state, stream.state
        result = await stream.lease(
            {"battery": {"setpoint": {"power_w": -9000}, "limit": {"produce_max_w": 9000}}}
        )
        assert result["result"] == "clipped", result
        assert result["outcomes"]["battery"]["setpoint"] == {
            "result": "clipped",
            "power_w": -3600,
            "limited_by": "rating",
        }
        assert result["outcomes"]["battery"]["limit"]["produce_max_w"] == 3680
        result = await stream.lease(
            {"battery": {"setpoint": {"power_w": 900}, "limit": {"consume_max_w": 0}}}
        )
        assert result["outcomes"]["battery"]["setpoint"] == {
            "result": "clipped",
            "power_w": 0,
            "limited_by": "lease",
        }
        result = await stream.lease(
            {"battery": {"mode": {"mode": "x"}}, "ghost": {"switch": {"closed": True}}}
        )
        assert result["outcomes"]["ghost"]["switch"]["code"] == "unknown_element", result
        assert result["outcomes"]["battery"]["mode"]["code"] == "unknown_capability", result


@check
async def leases_that_do_not_count(module: Module, hub: Hub) -> None:
    async with Stream(module, hub) as stream:
        stream.seq = 10
        assert (await stream.lease({}, epoch=2))["result"] == "applied"
        for code, change in {
            "lease_other_boot": {"boot_id": "00000000"},
            "lease_stale": {"uptime_ms": stream.state["uptime_ms"] + 60000},
            "lease_old_epoch": {"epoch": 1},
            "lease_old_seq": {"seq": 11},
        }.items():
            result = await stream.lease({}, **({"epoch": 2} | change))
            assert result["result"] == "refused" and result["code"] == code, result
        await stream.next_state()
        assert stream.state["lease"]["seq"] == 11
        for frame in [
            "",
            "{",
            "[1]",
            '{"lease":{}}',
            '{"request":1}',
            '{"lease":{"epoch":1,"epoch":2}}',
            "\x00",
        ]:
            assert (await stream.answer(frame))["problem"]["code"] == "invalid_message"
        await stream.socket.send_bytes(b"{}")
        while "state" in (found := await stream.frame()):
            pass
        assert found["problem"]["status"] == 400
        lease = {
            "epoch": 2,
            "seq": 99,
            "boot_id": stream.state["boot_id"],
            "uptime_ms": stream.state["uptime_ms"],
        }
        found = await module.ask(hub.tls, "PUT", "/lease", lease | {"ttl_s": 5, "elements": {}})
        assert found == (200, {"epoch": 2, "seq": 99, "result": "applied"}), found
        found = await module.ask(hub.tls, "PUT", "/lease", lease | {"ttl_s": 0, "elements": {}})
        assert found[0] == 400 and found[1]["field"] == "$.ttl_s", found


@check
async def what_is_kept_survives(module: Module, hub: Hub) -> None:
    failsafe = {"elements": {"battery": {"produce_max_w": 0, "consume_max_w": 1234.5}}}
    assert await module.ask(hub.tls, "PUT", "/failsafe", failsafe) == (200, failsafe)
    bad = {"elements": {"battery": {"produce_max_w": 3681}}}
    assert (await module.ask(hub.tls, "PUT", "/failsafe", bad))[1]["code"] == "out_of_range"
    policy = {"kind": "schedule", "schedule": [{"start_s": 0, "power_w": 500.25}]}
    assert await module.ask(hub.tls, "PUT", "/policy", policy) == (200, policy)
    assert (await module.ask(hub.tls, "PUT", "/policy", {"kind": "droop"}))[1]["code"] == "unknown_policy"
    settings = {"elements": {"battery": {"storage": {"reserve_pct": 20}}}}
    assert await module.ask(hub.tls, "PUT", "/settings", settings) == (200, settings)
    assert await module.ask(hub.tls, "PUT", "/settings", settings | {"epoch": 2}) == (200, settings)
    for path, body in [("/settings", settings), ("/policy", policy), ("/failsafe", failsafe)]:
        assert (await module.ask(hub.tls, "PUT", path, body | {"epoch": 1}))[1]["code"] == "lease_old_epoch"
    found = await module.ask(hub.tls, "POST", "/requests", {"request": "restart", "epoch": 1})
    assert found == (200, found[1] | {"result": "refused", "code": "lease_old_epoch"})
    certificate = await module.certificate()
    before = (await module.ask(hub.tls, "GET", "/state"))[1]
    assert await module.halt() == 0
    await module.boot("--no-mdns")
    assert await module.certificate() == certificate
    assert await module.ask(hub.tls, "GET", "/failsafe") == (200, failsafe)
    assert await module.ask(hub.tls, "GET", "/policy") == (200, policy)
    assert await module.ask(hub.tls, "GET", "/settings") == (200, settings)
    after = (await module.ask(hub.tls, "GET", "/state"))[1]
    assert after["boot_id"] != before["boot_id"]
    energies = [s["elements"]["battery"]["energy"] for s in (before, after)]
    assert energies[0]["counter_epoch"] == energies[1]["counter_epoch"]
    async with Stream(module, hub) as stream:
        assert (await stream.lease({}, epoch=1))["code"] == "lease_old_epoch"
        assert stream.state["elements"]["battery"]["limit"]["limited_by"] == "failsafe"


@check
async def a_restart_is_one(module: Module, hub: Hub) -> None:
    async with Stream(module, hub) as stream:
        found = await module.ask(hub.tls, "POST", "/requests", {"request": "restart"})
        assert found == (200, {"result": "accepted"})
        closed = await asyncio.wait_for(stream.socket.receive(), 3)
        while closed.type == aiohttp.WSMsgType.TEXT:
            closed = await asyncio.wait_for(stream.socket.receive(), 3)
        assert closed.type == aiohttp.WSMsgType.CLOSE, closed
    after = (await module.ask(hub.tls, "GET", "/state"))[1]
    assert after["boot_id"] != stream.state["boot_id"]
    for body, code in [
        ({"request": "open", "element": "battery"}, "unknown_request"),
        ({"request": "x"}, "unknown_request"),
    ]:
        assert (await module.ask(hub.tls, "POST", "/requests", body))[1]["code"] == code
    found = await module.ask(hub.tls, "POST", "/requests", {"request": "open", "element": "ghost"})
    assert found[1]["code"] == "unknown_element"


@check
async def nonsense_harms_nobody(module: Module, hub: Hub) -> None:
    port = int(module.url.split(":")[2].split("/")[0])
    async with Stream(module, hub) as stream:
        held = [await asyncio.open_connection("localhost", port) for _ in range(20)]
        held += [await asyncio.open_connection("localhost", port, ssl=tls_context()) for _ in range(2)]
        begun = time.monotonic()
        assert (await module.ask(hub.tls, "GET", "/state"))[0] == 200
        assert time.monotonic() - begun < 5
        for _, writer in held:
            writer.close()
        for junk in [
            b"GET / HTTP/9\r\n\r\n",
            b"\r\n\r\n",
            b"GET /ores/v1/state HTTP/1.1\r\nX\r\n\r\n",
            b"x" * 3000,
            b"PUT /ores/v1/lease HTTP/1.1\r\nHost: m\r\nContent-Length: 5000\r\n\r\n",
            b"PUT /ores/v1/lease HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ]:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=tls_context())
            writer.write(junk)
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")), answer
            writer.close()
        assert (await module.ask(hub.tls, "PUT", "/policy", raw=b"[" * 4096))[1]["code"] == "invalid_message"
        assert (await module.ask(hub.tls, "PUT", "/policy", raw=b"[" * 4097))[1]["code"] == "too_large"
        await stream.next_state()


@check
async def five_tries_lock_and_a_release_opens(module: Module, hub: Hub) -> None:
    module.process.send_signal(signal.SIGUSR1)
    await asyncio.sleep(0.3)
    found = (await module.ask(tls_context(), "GET", "/pairing"))[1]
    assert found == {"open": True, "paired": True}, found
    start = Hub(module.folder).start("controller")
    found = (await module.ask(tls_context(), "POST", "/pairing/start", start))[1]
    assert found["code"] == "pairing_has_controller", found
    before = (await module.ask(hub.tls, "GET", "/failsafe"))[1]
    assert await module.ask(hub.tls, "DELETE", "/pairing") == (200, {"open": True, "paired": False})
    await an_unknown_key_is_not_answered(module, hub)
    other = Hub(module.folder)
    for _ in range(5):
        found = await module.ask(tls_context(), "POST", "/pairing/start", other.start("controller"))
        assert found[0] == 200
    locked = await module.ask(tls_context(), "POST", "/pairing/start", other.start("controller"))
    assert locked[0] == 429 and locked[1]["code"] == "pairing_locked", locked
    module.process.send_signal(signal.SIGUSR1)  # too early: the pause is 30 s
    await asyncio.sleep(0.3)
    assert (await module.ask(tls_context(), "GET", "/pairing"))[1]["closed_because"] == "pairing_locked"
    await module.halt()
    await module.boot("--no-mdns")
    found = (await module.ask(tls_context(), "GET", "/pairing"))[1]
    assert found == {"open": False, "paired": False, "closed_because": "pairing_closed"}, found
    module.process.send_signal(signal.SIGUSR1)
    await asyncio.sleep(0.3)
    await module.pair(other)
    assert (await module.ask(other.tls, "GET", "/failsafe"))[1] == before
    code = module.code
    module.process.send_signal(signal.SIGUSR2)
    await module.read_ready()
    assert module.code != code
    assert (await module.ask(tls_context(), "GET", "/pairing"))[1] == {"open": True, "paired": False}
    await module.pair(hub)
    assert await module.ask(hub.tls, "GET", "/failsafe") == (200, {"elements": {}})


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        module = Module(sys.argv[1:] or ["./ores-module"], Path(folder))
        await module.boot("--no-mdns", "--name", "Test battery")
        hub = Hub(Path(folder))
        try:
            for function in CHECKS:
                await function(module, hub)
                print("ok  ", function.__name__.replace("_", " "))
        finally:
            print("exit", await module.halt())


asyncio.run(main())
