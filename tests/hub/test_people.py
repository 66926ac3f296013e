"""Users, apps and their roles: who is let in, to do what, and until when."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from tests.hub.hubhouse import BATTERY, START, House
from tests.hub.test_api import API, WISH, get, problem, with_hub
from tests.hub.test_owner import RIGHT, WRONG

from ores.hub.api import access
from ores.hub.callers import ROLES
from ores.hub.notices import Notices
from ores.hub.owner import Owner
from ores.hub.passwords import TRIES_IN_ALL, TooManyTries, Tries, hashed
from ores.hub.people import People, TokenWanted, UserWanted
from ores.hub.state_dir import StateDir
from ores.link.clock import Clock, run
from ores.link.errors import Forbidden, InvalidMessage

DAY_S = 86400


async def owned(http: aiohttp.ClientSession) -> None:
    async with http.post(f"{API}/owner", json=RIGHT) as response:
        assert response.status == 201


async def token(http: aiohttp.ClientSession, name: str, role: str, **more: object) -> dict[str, str]:
    """The headers of a new app."""
    if role == "installer":
        more = {"expires_in_s": DAY_S, **more}
    async with http.post(f"{API}/tokens", json={"name": name, "role": role, **more}) as response:
        assert response.status == 201, await response.text()
        return {"Authorization": f"Bearer {(await response.json())['token']}"}


def app(http: aiohttp.ClientSession, headers: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(http._base_url, headers=headers)


def path_of(template: str) -> str:
    """An address that nothing is behind: only who may ask is of interest."""
    path = template.replace("{id}", "q" * 26).replace("{source}", "x").replace("{name}", "Nobody")
    return path if template.split("/")[1] in DRAFTS else API + path


DRAFTS = {path.split("/")[1] for _, path in access.MAY if path.count("/") > 1} - {
    "modules", "history", "proposals", "notices", "users", "tokens",
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_the_table_says_and_nothing_else(role: str) -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        async with app(http, await token(http, "It", role)) as it:
            for (method, path), roles in access.MAY.items():
                async with it.request(method, path_of(path)) as response:
                    body = await response.read()
                    code = json.loads(body)["code"] if response.status >= 400 else None
                    managing = path.startswith(("/users", "/tokens"))
                    refused = role not in roles or managing
                    assert (code == "forbidden") is refused, (method, path, code)

    with_hub(test)


def test_a_token_is_shown_once_kept_as_a_hash_and_outlasts_a_restart(tmp_path: Path) -> None:
    kept: dict[str, str] = {}

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        kept.update(await token(http, "Display", "observer"))
        secret = kept["Authorization"].removeprefix("Bearer ")
        [shown] = (await get(http, f"{API}/tokens"))["tokens"]
        assert (shown["name"], shown["role"]) == ("Display", "observer")
        assert secret not in json.dumps(shown)
        assert secret not in (tmp_path / "access.json").read_text()

    async def again(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with app(http, kept) as it:
            session = await get(it, f"{API}/session")
            assert session == {
                "owner_exists": True, "authenticated": True, "name": "Display", "role": "observer",
            }  # fmt: skip
            await get(it, f"{API}/live")

    with_hub(test, tmp_path)
    with_hub(again, tmp_path)


def test_who_is_removed_is_out_at_once_and_so_is_what_it_wanted() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        headers = await token(http, "Charger app", "resident")
        async with app(http, headers) as it:
            async with it.post(f"{API}/proposals", json={**WISH, "source": "Charger app"}) as response:
                assert response.status == 201
            [shown] = (await get(http, f"{API}/tokens"))["tokens"]
            async with http.delete(f"{API}/tokens/{shown['id']}") as response:
                assert response.status == 204
            async with it.get(f"{API}/live") as response:
                await problem(response, 401, "login_required")
        assert (await get(http, f"{API}/proposals"))["proposals"] == []
        async with http.delete(f"{API}/tokens/{shown['id']}") as response:
            await problem(response, 404, "not_found")

    with_hub(test)


def test_an_open_stream_ends_with_the_token_that_opened_it() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        async with app(http, await token(http, "Display", "guest")) as it:
            stream = await it.ws_connect(f"{API}/stream")
            assert "live" in json.loads((await stream.receive(5)).data)
            [shown] = (await get(http, f"{API}/tokens"))["tokens"]
            async with http.delete(f"{API}/tokens/{shown['id']}"):
                pass
            house.running.hub.notices.raise_("test", "something to send")
            assert (await stream.receive(5)).data == aiohttp.WSCloseCode.POLICY_VIOLATION

    with_hub(test)


def test_a_further_person_logs_in_with_a_role_of_their_own() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        ben = {"name": "Ben", "password": "rain on the roof"}
        async with http.post(f"{API}/users", json={**ben, "role": "resident"}) as response:
            assert response.status == 201
            assert "password" not in await response.json()
        async with aiohttp.ClientSession(http._base_url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as other:
            async with other.post(f"{API}/session", json=ben) as response:
                assert (await response.json())["role"] == "resident"
            async with other.get(f"{API}/users") as response:
                await problem(response, 403, "forbidden")
            async with other.post(f"{API}/proposals", json={**WISH, "source": "Ada"}) as response:
                await problem(response, 403, "source_not_allowed")
            async with other.post(f"{API}/proposals", json={**WISH, "source": "Ben"}) as response:
                assert response.status == 201
            async with http.post(f"{API}/proposals", json={**WISH, "source": "Ben"}) as response:
                await problem(response, 403, "source_not_allowed")
            new = {"password": "snow on the roof"}
            async with other.put(f"{API}/users/Ben/password", json=new) as response:
                await problem(response, 401, "wrong_password")
            async with other.put(f"{API}/users/Ada/password", json=new) as response:
                await problem(response, 403, "forbidden")
            new["current"] = ben["password"]
            async with other.put(f"{API}/users/Ben/password", json=new) as response:
                assert response.status == 204
            async with other.get(f"{API}/live") as response:
                await problem(response, 401, "login_required")
            async with other.post(f"{API}/session", json={**ben, "password": new["password"]}) as response:
                assert response.status == 200
            async with http.delete(f"{API}/users/Ben") as response:
                assert response.status == 204
            async with other.get(f"{API}/live") as response:
                await problem(response, 401, "login_required")
        assert [user["name"] for user in (await get(http, f"{API}/users"))["users"]] == ["Ada"]
        assert (await get(http, f"{API}/proposals"))["proposals"] == []

    with_hub(test)


def test_what_cannot_be_let_in_is_refused_with_the_reason() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.post(f"{API}/tokens", json={"name": "App", "role": "guest"}) as response:
            await problem(response, 403, "forbidden")
        await owned(http)
        await token(http, "Grid", "utility")
        person = {"name": "Ben", "password": "rain on the roof", "role": "guest"}
        for where, body, status, code in (
            ("tokens", {"name": "Ada", "role": "guest"}, 409, "name_taken"),
            ("tokens", {"name": "hub", "role": "guest"}, 409, "name_taken"),
            ("tokens", {"name": "Other grid", "role": "utility"}, 409, "utility_exists"),
            ("tokens", {"name": "App", "role": "king"}, 400, "invalid_message"),
            ("tokens", {"name": "App", "role": "guest", "expires_in_s": 0}, 400, "invalid_message"),
            ("tokens", {"name": "", "role": "guest"}, 400, "invalid_message"),
            ("users", {**person, "role": "installer"}, 400, "invalid_message"),
            ("users", {**person, "role": "installer", "expires_in_s": 31 * DAY_S}, 400, "invalid_message"),
            ("users", {**person, "password": "short one"}, 400, "invalid_message"),
        ):
            async with http.post(f"{API}/{where}", json=body) as response:
                said = await problem(response, status, code)
                assert "short one" not in str(said)
        async with http.delete(f"{API}/users/Ada") as response:
            await problem(response, 409, "owner_stays")

    with_hub(test)


def test_the_grid_s_operator_limits_the_connection_and_reads_nothing_else() -> None:
    limit = {
        "subject": {"kind": "connection"}, "rank": "grid_obligation", "bounds": {"produce_max_w": 0},
        "source": "Grid", "reason": "the line is full", "ttl_s": 600,
    }  # fmt: skip

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        async with http.post(f"{API}/proposals", json={**WISH, "source": "Ada"}) as response:
            assert response.status == 201
        async with app(http, await token(http, "Grid", "utility")) as grid:
            async with grid.post(f"{API}/proposals", json={**limit, "id": "cap"}) as response:
                assert response.status == 201
            for change in (
                {"rank": "owner_wish"},
                {"subject": {"kind": "element", "module": BATTERY, "element": "battery"}},
            ):
                async with grid.post(f"{API}/proposals", json={**limit, **change}) as response:
                    await problem(response, 403, "rank_not_allowed")
            [shown] = (await get(grid, f"{API}/proposals"))["proposals"]
            assert shown["source"] == "Grid"
            async with http.delete(f"{API}/proposals/Grid/cap") as response:
                await problem(response, 403, "rank_not_allowed")
            async with grid.delete(f"{API}/proposals/Grid/cap") as response:
                assert response.status == 204

    with_hub(test)


def people_of(tmp_path: Path, clock: Clock) -> People:
    directory, notices = StateDir(tmp_path), Notices(clock)
    return People(directory, notices, clock, Owner(directory, notices, lambda: 0.0))


def test_what_was_lent_ends_by_itself_and_gives_its_name_back(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        people = people_of(tmp_path, clock)
        made = people.add_token(TokenWanted("Fitter", "installer", expires_in_s=DAY_S))
        who = people.by_token(made.token)
        assert who is not None
        assert who.role == "installer"
        await clock.sleep(DAY_S)
        assert people.by_token(made.token) is None
        assert people.tokens() == []
        people.add_token(TokenWanted("Fitter", "guest"))

    run(main, start_utc=START)


def test_a_damaged_list_lets_nobody_in_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "access.json").write_text('{"tokens": [')

    async def main(clock: Clock) -> None:
        people = people_of(tmp_path, clock)
        assert people.tokens() == []
        assert [notice.code for notice in people._notices.active()] == ["access_lost"]
        assert (tmp_path / "access.json.damaged-1").exists()

    run(main, start_utc=START)


def test_not_more_are_let_in_than_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ores.hub.people.TOKENS_MAX", 1)
    monkeypatch.setattr("ores.hub.people.USERS_MAX", 1)

    async def main(clock: Clock) -> None:
        people, kept = people_of(tmp_path, clock), hashed("rain on the roof")
        people.add_token(TokenWanted("One", "guest"))
        people.add_user(UserWanted("Ben", "rain on the roof", "guest"), kept)
        for more in (
            lambda: people.add_token(TokenWanted("Two", "guest")),
            lambda: people.add_user(UserWanted("Cem", "rain on the roof", "guest"), kept),
        ):
            with pytest.raises(Forbidden, match="already"):
                more()
        with pytest.raises(InvalidMessage, match="name"):
            people.add_token(TokenWanted("x" * 65, "guest"))

    run(main, start_utc=START)


def test_a_thousand_addresses_have_a_hundred_guesses_and_this_machine_its_own() -> None:
    wall_s = [0.0]
    tries = Tries(lambda: wall_s[0])
    for each in range(TRIES_IN_ALL):
        tries.check(f"10.0.{each // 256}.{each % 256}")
        tries.wrong(f"10.0.{each // 256}.{each % 256}")
        wall_s[0] += 1.0
    with pytest.raises(TooManyTries) as refused:
        tries.check("10.9.9.9")
    assert refused.value.retry_after_s == pytest.approx(3600.0 - TRIES_IN_ALL)
    tries.check("127.0.0.1", here=True)
    wall_s[0] = 3600.5
    tries.check("10.9.9.9")


def test_nobody_learns_by_trying_who_lives_here() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        said = []
        for tried in (WRONG, {**WRONG, "name": "Nobody"}):
            async with http.post(f"{API}/session", json=tried) as response:
                said.append(await problem(response, 401, "wrong_password"))
        assert said[0] == said[1]

    with_hub(test)


def test_a_notice_is_acknowledged_by_the_first_who_says_so_and_stays_until_it_ends() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        await owned(http)
        notices = house.running.hub.notices
        async with http.ws_connect(f"{API}/stream") as stream:
            assert "live" in json.loads((await stream.receive(5)).data)
            notices.raise_("test", "something")
            [notice] = (await get(http, f"{API}/notices"))["notices"]
            async with http.put(f"{API}/notices/{notice['id']}/acknowledged") as response:
                seen = await response.json()
            assert seen["acknowledged_by"] == "Ada"
            assert "ended" not in seen
            ben = await token(http, "Ben", "resident")
            async with http.put(f"{API}/notices/{notice['id']}/acknowledged", headers=ben) as response:
                assert await response.json() == seen
            notices.clear("test")
            assert (await get(http, f"{API}/notices"))["notices"] == []
            [over] = (await get(http, f"{API}/notices?ended=true"))["notices"]
            assert over["ended"]
            assert over["time"] == notice["time"]
            frames = []
            while len(frames) < 3:
                frames.append(json.loads((await asyncio.wait_for(stream.receive(), 5)).data).get("notice"))
                frames = [frame for frame in frames if frame]
            assert [frame["id"] for frame in frames] == [notice["id"]] * 3
            assert ["ended" in frame for frame in frames] == [False, False, True]
        async with http.put(f"{API}/notices/1/acknowledged") as response:
            await problem(response, 404, "not_found")
        async with http.get(f"{API}/notices?ended=maybe") as response:
            await problem(response, 400, "invalid_query")

    with_hub(test)


def test_idle_connections_do_not_keep_the_people_of_the_house_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ores.hub.api.serve.CONNECTIONS_MAX", 8)

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.ws_connect(f"{API}/stream") as stream:
            assert "live" in json.loads((await stream.receive(5)).data)
            idle = [await asyncio.open_connection("127.0.0.1", http._base_url.port) for _ in range(20)]
            for _, writer in idle[:5]:
                writer.write(b"GET /ores/v1/live HTTP/1.1\r\nHost: ")
            for _ in range(3):
                async with aiohttp.ClientSession(http._base_url) as other:
                    await asyncio.wait_for(get(other, f"{API}/live"), 5)
            house.running.hub.notices.raise_("test", "an open page stays")
            assert "notice" in json.loads((await stream.receive(5)).data)
            assert await asyncio.wait_for(idle[0][0].read(), 5) == b"", "the first to come is the first to go"
            for _, writer in idle:
                writer.close()

    with_hub(test)


def test_one_app_gone_mad_does_not_silence_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ores.hub.proposals.OF_ONE_SOURCE_MAX", 2)

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        for each in range(2):
            async with http.post(f"{API}/proposals", json={**WISH, "id": f"{each}"}) as response:
                assert response.status == 201
        async with http.post(f"{API}/proposals", json={**WISH, "id": "more"}) as response:
            await problem(response, 503, "too_many_proposals")
        async with http.post(f"{API}/proposals", json={**WISH, "id": "1"}) as response:
            assert response.status == 201
        async with http.post(f"{API}/proposals", json={**WISH, "source": "other"}) as response:
            assert response.status == 201

    with_hub(test)
