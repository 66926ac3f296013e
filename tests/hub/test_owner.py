"""Who may come in."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from tests.hub.hubhouse import START, House
from tests.hub.test_api import API, get, problem, with_hub

from ores.hub.api import wire
from ores.hub.api.guard import network_of
from ores.hub.config import HubConfig
from ores.hub.notices import Notices
from ores.hub.owner import Credentials, Owner, TooManyTries, WrongPassword
from ores.hub.run import open_hub
from ores.hub.state_dir import StateDir
from ores.link.clock import Clock, RealClock, run
from ores.link.errors import Forbidden, InvalidMessage

RIGHT = {"name": "Ada", "password": "correct horse"}
WRONG = {"name": "Ada", "password": "wrong horse!"}


def test_without_an_owner_this_machine_is_answered_and_may_become_the_owner() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        assert await get(http, f"{API}/session") == {
            "owner_exists": False, "authenticated": False, "name": None,
        }  # fmt: skip
        async with http.post(f"{API}/owner", json={"name": "Ada", "password": "short"}) as response:
            body = await problem(response, 400, "invalid_message")
            assert "short" not in str(body)
        async with http.post(f"{API}/owner", json=RIGHT) as response:
            assert response.status == 201
            cookie = response.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        await get(http, f"{API}/live")
        async with http.post(f"{API}/owner", json=RIGHT) as response:
            await problem(response, 409, "owner_exists")

    with_hub(test)


def test_with_an_owner_everybody_else_logs_in_first(tmp_path: Path) -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.post(f"{API}/owner", json=RIGHT):
            pass
        async with aiohttp.ClientSession(http._base_url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as other:
            for path in ("/live", "/preferences", "/stream", "/modules"):
                async with other.get(API + path) as response:
                    await problem(response, 401, "login_required")
            async with other.get("/app/monitor") as response:
                await problem(response, 401, "login_required")
            async with other.get("/%6Fres/v1/live") as response:
                await problem(response, 401, "login_required")
            async with other.get("/") as response:
                assert response.status == 200
            async with other.post(f"{API}/session", json=WRONG) as response:
                await problem(response, 401, "wrong_password")
            async with other.post(f"{API}/session", json=RIGHT) as response:
                assert response.status == 200
            await get(other, f"{API}/live")
            async with other.delete(f"{API}/session") as response:
                assert response.status == 204
            async with other.get(f"{API}/live") as response:
                await problem(response, 401, "login_required")
            token = (tmp_path / "local-token").read_text()
            headers = {"Authorization": f"Bearer {token}"}
            async with other.get(f"{API}/live", headers=headers) as response:
                assert response.status == 200

    with_hub(test, tmp_path)


def test_five_wrong_passwords_lock_even_the_right_one_out() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.post(f"{API}/owner", json=RIGHT):
            pass
        for _ in range(5):
            async with http.post(f"{API}/session", json=WRONG) as response:
                await problem(response, 401, "wrong_password")
        async with http.post(f"{API}/session", json=RIGHT) as response:
            body = await problem(response, 429, "too_many_tries")
            assert 0 < body["retry_after_s"] <= 30
            assert int(response.headers["Retry-After"]) <= 31

    with_hub(test)


def test_another_site_s_page_may_change_nothing() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        wanted = await get(http, f"{API}/preferences")
        url = f"{API}/preferences"
        for headers in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
        ):
            async with http.put(url, json=wanted, headers=headers) as response:
                await problem(response, 403, "foreign_origin")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{API}/stream", origin="https://evil.example")
        assert refused.value.status == 403
        own = str(http._base_url).rstrip("/")
        async with http.put(url, json=wanted, headers={"Origin": own}) as response:
            assert response.status == 200

    with_hub(test)


def test_a_foreign_name_for_our_address_is_refused() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "", "[::1", "a b"):
            async with http.get(f"{API}/live", headers={"Host": host}) as response:
                assert response.status in {400, 421}, host
        for host in ("localhost:8080", "127.0.0.1", "[::1]:8080", "192.168.1.5", "home.example.org"):
            async with http.get(f"{API}/live", headers={"Host": host}) as response:
                assert response.status == 200, host

    with_hub(test, allowed_hosts=("home.example.org",))


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_nobody_becomes_the_owner_through_a_proxy_on_this_machine(header: str) -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        passed_on = {header: "203.0.113.9"}
        async with http.post(f"{API}/owner", json=RIGHT, headers=passed_on) as response:
            await problem(response, 403, "loopback_only")
        async with http.get(f"{API}/live", headers=passed_on) as response:
            await problem(response, 403, "loopback_only")

    with_hub(test)


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_who_guesses_from_many_addresses_of_one_network_is_one(address: str, counted_as: str) -> None:
    assert network_of(address) == counted_as


def test_on_the_network_it_is_https_and_only_with_an_owner() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, port=0, listen="127.0.0.2", https_port=0)
        async with house.hub() as running, aiohttp.ClientSession(running.url) as http:
            addresses = running.hub.owner_created.__self__._runner.addresses
            assert len(addresses) == 1
            async with http.post(f"{API}/owner", json=RIGHT) as response:
                assert response.status == 201
            host, port = running.hub.owner_created.__self__._runner.addresses[1]
            blind = ssl.create_default_context()
            blind.check_hostname = False
            blind.verify_mode = ssl.CERT_NONE
            async with http.get(f"https://{host}:{port}{API}/live", ssl=blind) as response:
                await problem(response, 401, "login_required")
            async with http.post(f"https://{host}:{port}{API}/session", json=RIGHT, ssl=blind) as response:
                assert "Secure" in response.headers["Set-Cookie"]

    asyncio.run(main(RealClock()))


def test_a_lost_owner_file_locks_the_page_instead_of_opening_it(tmp_path: Path) -> None:
    (tmp_path / "owner.json").write_text("{}")

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.get(f"{API}/live") as response:
            await problem(response, 401, "login_required")
        async with http.post(f"{API}/owner", json=RIGHT) as response:
            await problem(response, 409, "owner_exists")

    with_hub(test, tmp_path)
    with_hub(test, tmp_path)  # and after a restart


def test_the_lock_grows_and_ends(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        wall_s = [0.0]
        directory = StateDir(tmp_path)
        owner = Owner(directory, Notices(clock), lambda: wall_s[0])
        owner.create(Credentials("Ada", "correct horse"))
        with pytest.raises(Forbidden):
            owner.create(Credentials("Eve", "correct horse"))
        assert "correct" not in repr(Credentials("Ada", "correct horse"))
        for _ in range(5):
            with pytest.raises(WrongPassword):
                owner.log_in("10.0.0.1", right=False)
        with pytest.raises(TooManyTries, match="30 s"):
            owner.check_tries("10.0.0.1")
        owner.check_tries("10.0.0.2")
        wall_s[0] = 31.0
        owner.check_tries("10.0.0.1")
        with pytest.raises(WrongPassword):
            owner.log_in("10.0.0.1", right=False)
        with pytest.raises(TooManyTries, match="60 s"):
            owner.check_tries("10.0.0.1")
        token = owner.log_in("10.0.0.2", right=True)
        assert owner.knows(token)
        assert not owner.knows("x")
        wall_s[0] = 32 * 86400.0
        assert not owner.knows(token)
        directory.close()

    run(main, start_utc=START)


def test_an_owner_needs_a_name_and_a_password_that_is_not_short(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        directory = StateDir(tmp_path)
        owner = Owner(directory, Notices(clock), lambda: 0.0)
        for name, password, field in (("", "correct horse", "name"), ("Ada", "123456789", "password")):
            with pytest.raises(InvalidMessage, match=field):
                owner.create(Credentials(name, password))
        assert not owner.exists
        directory.close()

    run(main, start_utc=START)


@pytest.mark.parametrize("header", [b"Authorization: Bearer \xff\xfe", b"Cookie: ores_session=\xff"])
def test_a_token_that_is_no_text_is_a_wrong_one_and_no_error_of_ours(header: bytes) -> None:
    async def main(clock: Clock) -> None:
        async with open_hub(HubConfig(port=0, discover=False), clock) as running:
            await asyncio.to_thread(running.hub.owner.create, Credentials("Ada", "correct horse"))
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"GET /ores/v1/status HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 401")
            writer.close()

    run(main, speed=1)


def test_an_open_page_is_told_nothing_more_after_its_log_out() -> None:
    async def main(clock: Clock) -> None:
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            open_hub(HubConfig(port=0, discover=False, live_per_s=20.0), clock) as running,
            aiohttp.ClientSession(running.url, cookie_jar=jar) as http,
        ):
            async with http.post(f"{API}/owner", json=RIGHT) as response:
                assert response.status == 201
            async with http.ws_connect(f"{API}/stream") as stream:
                assert (await stream.receive(5)).type is aiohttp.WSMsgType.TEXT
                async with http.delete(f"{API}/session") as response:
                    assert response.status == 204
                ended = await stream.receive(5)  # with the next picture, within a second
                if ended.type is aiohttp.WSMsgType.TEXT:  # that was drawn before
                    ended = await stream.receive(5)
                assert ended.data == aiohttp.WSCloseCode.POLICY_VIOLATION

    run(main, speed=1)


def test_a_body_that_does_not_come_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(clock: Clock) -> None:
        monkeypatch.setattr(wire, "BODY_WITHIN_WALL_S", 0.2)
        async with open_hub(HubConfig(port=0, discover=False), clock) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(
                b"POST /ores/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1000\r\n\r\n{"
            )
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"did not arrive within 0.2 s" in answer
            writer.close()

    run(main, speed=1)
