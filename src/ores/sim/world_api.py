"""What a person may do to the simulated world, on loopback: turn on the oven, move a cloud, cut the grid.

```
GET  /world                                   the truth now
POST /world/turn_on   {"circuit": "oven", "power_w": 3000, "duration_s": 1800}
POST /world/turn_off  {"circuit": "oven"}
POST /world/cloud     {"factor": 0.3, "duration_s": 600}
POST /world/grid      {"present": false}
POST /world/car       {"present": true}
POST /world/soc       {"store": "ac_battery", "soc_pct": 50}
POST /world/danger    {"device": "battery", "hazard": "smoke", "active": true}
POST /world/reset     {"device": "battery"}      (somebody goes there, looks, and presses the button)
```

The hub never knows of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from ores.link.errors import ConfigError
from ores.sim.physics import world as acts
from ores.sim.physics.battery import AC, CAR, HYBRID
from ores.sim.physics.config import ScenarioError
from ores.sim.world import World

BODY_MAX_BYTES: Final = 4096
T = TypeVar("T")


class TurnOn(msgspec.Struct, forbid_unknown_fields=True):
    """Something is turned on."""

    circuit: str
    power_w: float
    duration_s: float = 3600.0


class TurnOff(msgspec.Struct, forbid_unknown_fields=True):
    """Something is turned off again."""

    circuit: str


class Cloud(msgspec.Struct, forbid_unknown_fields=True):
    """The sun is scaled for a while."""

    factor: float
    duration_s: float = 600.0


class Grid(msgspec.Struct, forbid_unknown_fields=True):
    """The utility delivers, or does not."""

    present: bool


class Car(msgspec.Struct, forbid_unknown_fields=True):
    """The car is here, or away."""

    present: bool


class Soc(msgspec.Struct, forbid_unknown_fields=True):
    """A store begins a scene with another content."""

    store: str
    soc_pct: float


class Danger(msgspec.Struct, forbid_unknown_fields=True):
    """A device sees smoke, a hot cell, or whatever else it watches for; or no longer."""

    device: str
    hazard: str
    active: bool = True


class Reset(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody at a device resets what it has latched."""

    device: str


Act = TurnOn | TurnOff | Cloud | Grid | Car | Soc | Danger | Reset
ACTS: Final[dict[str, type[Act]]] = {
    "turn_on": TurnOn,
    "turn_off": TurnOff,
    "cloud": Cloud,
    "grid": Grid,
    "car": Car,
    "soc": Soc,
    "danger": Danger,
    "reset": Reset,
}


def act(world: World, wish: Act) -> None:
    """Do it; takes effect with the next step of the physics.

    Raises:
        ScenarioError: Names what is wrong, and what is allowed.
    """
    house, home = world.plant.house, world.plant.home
    match wish:
        case TurnOn():
            acts.turn_on(house, wish.circuit, wish.power_w, wish.duration_s, home)
        case TurnOff():
            acts.turn_off(house, wish.circuit, home)
        case Cloud():
            acts.move_cloud(house, wish.factor, wish.duration_s, home)
        case Grid(present=True):
            acts.restore_grid(house, home)
        case Grid():
            acts.cut_grid(house, home)
        case Car():
            acts.move_car(house, wish.present, home)
        case Soc():
            with world.ledger.by_hand():
                acts.set_soc_pct(house, wish.store, wish.soc_pct, home)
        case Danger():
            detector = _known(world.plant.detectors, "device", wish.device)
            _known(dict.fromkeys(detector.inputs), "hazard", wish.hazard)
            detector.see(wish.hazard, active=wish.active)
        case Reset():
            _known(world.on_site, "device", wish.device)()


def _known(table: Mapping[str, T], field: str, name: str) -> T:
    if name not in table:
        raise ScenarioError(f"{field}: found {name!r}, allowed: {', '.join(table) or 'none'}")
    return table[name]


def picture(world: World) -> dict[str, object]:
    """The truth now."""
    plant, house = world.plant, world.plant.house
    names = house.layout.elements
    return {
        "now_s": plant.now_s,
        "power_w": {name: sum(plant.power_w[plant.rows(name)]) for name in names},
        "soc_pct": {
            name: house.stores.soc_pct(row, plant.home)
            for name, row in (("ac_battery", AC), ("hybrid_battery", HYBRID), ("car", CAR))
        },
        "car_present": bool(house.car.present[plant.home]),
        "grid_present": plant.live("grid"),
        "backup_live": plant.live("backup"),
        "ledger": world.ledger.summary(),
    }


@asynccontextmanager
async def serve_world(world: World, port: int = 0) -> AsyncIterator[int]:
    """Serve the world on loopback; gives the port.

    Raises:
        ConfigError: The port is in use.
    """
    app = web.Application(client_max_size=BODY_MAX_BYTES)
    app.router.add_get("/world", _answering(lambda _request, _body: picture(world)))
    app.router.add_post("/world/{act}", _answering(lambda request, body: _do(world, request, body)))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            "--world-port", found=f"{port}: {error.strerror}", allowed="a free port, or 0"
        ) from error
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _do(world: World, request: web.Request, body: bytes) -> dict[str, object]:
    name = request.match_info["act"]
    if name not in ACTS:
        raise ScenarioError(f"act: found {name!r}, allowed: {', '.join(ACTS)}")
    act(world, msgspec.json.decode(body, type=ACTS[name]))
    return {"done": name}


def _answering(
    answer: Callable[[web.Request, bytes], dict[str, object]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body = answer(request, await request.read())
        except (ScenarioError, msgspec.DecodeError) as error:
            body = {"error": str(error)}
            return web.json_response(body, status=400)
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    return handle
