"""What people and apps may ask of the hub, and what they are told when they may not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from tests.hub.hubhouse import BATTERY, METER, START, House

from ores.hub.api.app import ROUTES
from ores.hub.api.drafts import DRAFT_PATHS
from ores.link.clock import Clock, run
from ores.link.errors import ConfigError
from ores.link.pairing import code_of

API = "/ores/v1"
CODE = code_of(bytes(range(16)))
WISH = {
    "subject": {"kind": "element", "module": BATTERY, "element": "battery"},
    "rank": "owner_wish",
    "source": "app",
    "reason": "because I say so",
    "ttl_s": 30,
    "wish": {"power_w": 1000},
}


def with_hub(
    test: Callable[[Clock, House, aiohttp.ClientSession], Awaitable[None]],
    data: Path | None = None,
    **config: object,
) -> None:
    """Run a test against a hub that has been running for 5 s; time stands still unless the test moves it."""

    async def main(clock: Clock) -> None:
        house = House(clock, data=data, port=0, **config)
        async with house.hub() as running:
            house.running = running
            await clock.sleep(5)
            with clock.hold():
                jar = aiohttp.CookieJar(unsafe=True)
                async with aiohttp.ClientSession(running.url, cookie_jar=jar) as http:
                    await test(clock, house, http)

    run(main, start_utc=START)


async def get(http: aiohttp.ClientSession, path: str) -> dict:
    async with http.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def problem(response: aiohttp.ClientResponse, status: int, code: str) -> dict:
    body = json.loads(await response.read())
    assert response.content_type == "application/problem+json"
    assert (response.status, body["status"], body["code"]) == (status, status, code), body
    assert "Traceback" not in json.dumps(body)
    return body


def test_the_page_shows_the_house() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        status = await get(http, f"{API}/status")
        assert status["owner"] is False
        assert status["cycles"] >= 5
        live = await get(http, f"{API}/live")
        assert set(live["modules"]) == {BATTERY, METER}
        assert live["modules"][BATTERY]["doing"].startswith("discharging")
        assert live["modules"][BATTERY]["why"]
        modules = (await get(http, f"{API}/modules"))["modules"]
        assert [m["id"] for m in modules] == [BATTERY, METER]
        assert (await get(http, f"{API}/modules/{METER}"))["description"]["name"] == "meter"
        async with http.get("/") as response:
            assert response.status == 200
            assert response.content_type == "text/html"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]

    with_hub(test)


def test_what_is_no_http_is_answered_by_a_problem_too() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.get(f"{API}/history?series={'x' * 20_000}") as response:
            await problem(response, 400, "bad_request")
            assert response.headers["Server"] == "ores"
        names = ",".join(f"{BATTERY}/battery." + "x" * 64 + "." + "y" * 56 for _ in range(64))
        await get(http, f"{API}/history?series={names.replace('/', '%2F')}")  # all that the document allows

    with_hub(test)


def test_a_method_that_a_resource_does_not_know_is_answered_with_those_it_knows() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.request("TRACE", f"{API}/preferences") as response:
            await problem(response, 405, "method_not_allowed")
            assert response.headers["Allow"] == "GET,PUT"
        async with http.get(f"{API}/preferenses") as response:
            await problem(response, 404, "not_found")

    with_hub(test)


def test_history_is_served_in_a_chart_s_steps() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        names = (await get(http, f"{API}/history/series"))["series"]
        assert {"flow.grid_w", f"{BATTERY}/battery.storage.soc_pct"} <= set(names)
        series = f"flow.grid_w,{METER}/meter.ac_measure.power_w"
        query = f"series={series}&start=2025-06-01T12:00:00Z&end=2025-06-01T12:00:10Z"
        history = await get(http, f"{API}/history?{query}")
        assert history["step_s"] == 1
        mean = history["series"]["flow.grid_w"]["mean"]
        assert len(mean) == 10
        assert mean[-1] is None
        assert history["series"]["flow.grid_w"]["unit"] == "W"
        for bad in ("", "series=x", "series=flow.grid_w&start=yesterday", "series=flow.grid_w&points=3",
                    "series=flow.grid_w&max_points=-1", f"series={',flow.grid_w' * 65}",
                    "series=flow.grid_w&start=2030-01-01T00:00:00Z"):  # fmt: skip
            async with http.get(f"{API}/history?{bad}") as response:
                body = await problem(response, 400, "invalid_query")
                assert "allowed" in body["detail"]

    with_hub(test)


def test_a_wish_moves_the_battery_until_it_expires() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, port=0)
        async with house.hub() as running, aiohttp.ClientSession(running.url) as http:
            await clock.sleep(5)
            with clock.hold():
                async with http.post(f"{API}/proposals", json=WISH) as response:
                    assert response.status == 201
                    proposal_id = (await response.json())["id"]
                held = (await get(http, f"{API}/proposals"))["proposals"]
                assert held[0]["expires_in_s"] == 30
            await clock.sleep(5)
            assert house.world.battery_w == 1000
            with clock.hold():
                newest = (await get(http, f"{API}/decisions?module={BATTERY}&limit=1"))["decisions"][0]
                assert newest["reason"] == "because I say so"
                assert newest["source"] == "app"
                older = await get(http, f"{API}/decisions?before={newest['id']}")
                assert all(d["id"] < newest["id"] for d in older["decisions"])
            await clock.sleep(31)
            assert abs(house.world.grid_w) < 20
            with clock.hold():
                assert (await get(http, f"{API}/proposals"))["proposals"] == []
                async with http.delete(f"{API}/proposals/app/{proposal_id}") as response:
                    await problem(response, 404, "not_found")

    run(main, start_utc=START)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ttl_s": -1}, "$.ttl_s"),
        ({"ttl": 30}, "$.ttl"),
        ({"rank": "king"}, "$.rank"),
        ({"wish": {"power_w": "much"}}, "$.wish.power_w"),
        ({"wish": {"power_w": 1e9}}, "$.wish.power_w"),
        ({"subject": {"kind": "element"}}, "$.subject.module"),
    ],
)
def test_a_bad_proposal_is_refused_with_field_found_and_allowed(change: dict, field: str) -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        async with http.post(f"{API}/proposals", json={**WISH, **change}) as response:
            body = await problem(response, 400, "invalid_message")
            assert body["field"] == field
            assert body["allowed"]
            assert body["found"]

    with_hub(test)


def test_what_is_no_proper_request_gets_a_problem() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        json_type = {"Content-Type": "application/json"}
        nan = json.dumps(WISH).replace("1000", "NaN")
        async with http.post(f"{API}/proposals", data=nan, headers=json_type) as response:
            await problem(response, 400, "invalid_message")
        async with http.post(f"{API}/proposals", data=b"\xff{", headers=json_type) as response:
            await problem(response, 400, "invalid_message")
        async with http.post(f"{API}/proposals", data=b"[" * 60_000, headers=json_type) as response:
            await problem(response, 400, "invalid_message")
        async with http.post(f"{API}/proposals", data=json.dumps(WISH)) as response:
            await problem(response, 415, "not_json")
        async with http.put(f"{API}/proposals", json=WISH) as response:
            await problem(response, 405, "method_not_allowed")
        async with http.get(f"{API}/nothing") as response:
            await problem(response, 404, "not_found")
        async with http.get(f"{API}/live?modules=1") as response:
            assert (await problem(response, 400, "invalid_query"))["field"] == "modules"
        async with http.get(f"{API}/stream") as response:
            await problem(response, 426, "upgrade_required")
        async with http.get("/assets/none.js") as response:
            await problem(response, 404, "not_found")

    with_hub(test)


def test_a_body_of_10_mb_is_refused_unread() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        address = str(http._base_url.host), http._base_url.port
        reader, writer = await asyncio.open_connection(*address)
        writer.write(
            b"PUT /ores/v1/preferences HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10000000\r\n\r\n"
        )
        answer = await asyncio.wait_for(reader.read(65536), 5)
        assert b"413" in answer.splitlines()[0]
        assert b"too_large" in answer
        writer.close()

        async def endless() -> object:
            for _ in range(200):
                yield b" " * 65536

        try:
            async with http.put(
                f"{API}/preferences", data=endless(), headers={"Content-Type": "application/json"}
            ) as response:
                await problem(response, 413, "too_large")
        except aiohttp.ClientConnectionError:
            pass  # it hung up on us while we were still talking, as it may
        await get(http, f"{API}/status")

    with_hub(test)


def test_a_rank_above_the_app_s_is_refused_with_the_reason() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        for rank in ("protection", "grid_obligation", "policy"):
            async with http.post(f"{API}/proposals", json={**WISH, "rank": rank}) as response:
                body = await problem(response, 403, "rank_not_allowed")
                assert "owner_bounds" in body["detail"]

    with_hub(test)


def test_preferences_make_a_round_trip_and_survive(tmp_path: Path) -> None:
    async def change(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        wanted = {"self_consumption": False, "ev_mode": "fast", "reserve_pct": 35.0, "export_max_w": 0.0}
        async with http.put(f"{API}/preferences", json=wanted) as response:
            assert await response.json() == wanted
        async with http.put(f"{API}/preferences", json={**wanted, "reserve_pct": 101}) as response:
            assert (await problem(response, 400, "invalid_message"))["field"] == "$.reserve_pct"
        async with http.put(f"{API}/preferences", json={**wanted, "grid_target_w": -10}) as response:
            assert (await problem(response, 400, "invalid_message"))["field"] == "$.grid_target_w"

    async def look(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        assert (await get(http, f"{API}/preferences"))["reserve_pct"] == 35.0

    with_hub(change, tmp_path)
    with_hub(look, tmp_path)


def test_damaged_preferences_are_set_aside_and_nothing_is_exported(tmp_path: Path) -> None:
    (tmp_path / "preferences.json").write_text('{"self_consumption": tr')

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        assert (await get(http, f"{API}/preferences"))["export_max_w"] == 0.0
        notices = (await get(http, f"{API}/notices"))["notices"]
        assert [n["code"] for n in notices] == ["file_damaged"]
        assert (tmp_path / "preferences.json.damaged-1").exists()

    async def again(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        assert (await get(http, f"{API}/preferences"))["export_max_w"] == 0.0

    with_hub(test, tmp_path)
    with_hub(again, tmp_path)


def test_the_stream_tells_of_the_house_and_of_decisions() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, port=0)
        async with house.hub() as running, aiohttp.ClientSession(running.url) as http:
            async with http.ws_connect(f"{API}/stream") as stream:
                kinds = set()
                while kinds != {"live", "decision"}:
                    house.world.load_w = 2500 if house.world.load_w == 500 else 500
                    message = json.loads((await asyncio.wait_for(stream.receive(), 5)).data)
                    kinds |= set(message)
            before_s = clock.now()
            await clock.sleep(100)  # an open page does not stop time
            assert clock.now() == before_s + 100
            assert len(running.hub.fanout) <= 1

    run(main, start_utc=START)


def test_every_draft_path_is_served_or_honestly_refused() -> None:
    paths = {path for _, path, _ in DRAFT_PATHS}
    assert paths == {
        "/microinverter/status", "/microinverter/energy", "/microinverter/control",
        "/energystorage/status", "/energystorage/storage", "/energystorage/control",
        "/device/discovery", "/device/register", "/hub/communicate", "/hub/configure",
        "/app/monitor", "/app/notify", "/app/settings", "/device/firmware/update",
        "/device/security/authenticate", "/device/safety/fault-detection", "/device/data/logging",
        "/device/diagnostics/remote",
    }  # fmt: skip

    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        storage = await get(http, "/energystorage/storage")
        assert storage["modules"][BATTERY]["elements"]["battery"]["storage"]["soc_pct"] == 50.0
        assert (await get(http, "/microinverter/status"))["modules"] == {}
        assert (await get(http, "/device/security/authenticate"))["modules"][0]["authenticated"] is True
        for method, path, _ in DRAFT_PATHS:
            if method == "GET" and path not in {"/hub/communicate", "/device/diagnostics/remote"}:
                await get(http, f"{path}?series=flow.grid_w" if path == "/device/data/logging" else path)
        async with http.post("/device/firmware/update", json={}) as response:
            await problem(response, 501, "not_built")
        async with http.get("/device/diagnostics/remote") as response:
            await problem(response, 501, "not_built")
        async with http.post("/energystorage/control", json=WISH) as response:
            assert response.status == 201

    with_hub(test)


def test_no_route_is_named_twice() -> None:
    names = [(method, path) for method, path, _ in (*ROUTES, *DRAFT_PATHS)]
    assert len(names) == len(set(names))


def test_a_busy_port_names_the_setting() -> None:
    async def main(clock: Clock) -> None:
        async with House(clock, port=0).hub() as first:
            with pytest.raises(ConfigError, match=rf"--port.*{first.port}.*another program"):
                async with House(clock, port=first.port).hub():
                    pass

    run(main, start_utc=START)


def test_two_hubs_in_one_directory_are_refused(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        async with House(clock, data=tmp_path).hub():
            with pytest.raises(ConfigError, match=r"--data.*another hub runs here"):
                async with House(clock, data=tmp_path).hub():
                    pass

    run(main, start_utc=START)


def test_pairing_needs_a_code_and_somebody_there() -> None:
    async def test(clock: Clock, house: House, http: aiohttp.ClientSession) -> None:
        for body, code, status in (
            ({"code": CODE}, "invalid_message", 400),
            ({"code": "ORES-1234", "id": "q" * 26}, "invalid_message", 400),
            ({"code": CODE, "address": "nowhere"}, "invalid_message", 400),
            ({"code": CODE, "id": "q" * 26}, "not_found_yet", 503),
            ({"code": CODE, "address": "127.0.0.1:1"}, "disconnected", 503),
        ):
            async with http.post(f"{API}/modules", json=body) as response:
                await problem(response, status, code)

    with_hub(test)
