"""`ores`: the command. Each sub-command imports what it needs only when it runs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ores.cli import access, adapter
from ores.cli.options import HUB_DATA, Data, Json, Url
from ores.link.errors import ConfigError, OresError, Unavailable

app = typer.Typer(
    name="ores",
    help="Open Renewable Energy Systems: run a hub, a simulated home, or one module.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(access.tokens, name="token")
app.add_typer(access.users, name="user")
app.add_typer(adapter.adapters, name="adapter")
app.command()(adapter.scan)


@app.command()
def status(url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA, as_json: Json = False) -> None:
    """Show the house now: flows, modules, what each is doing and why."""
    from ores.cli import commands

    commands.status(url, data, as_json=as_json)


@app.command()
def flexibility(url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA, as_json: Json = False) -> None:
    """Show what a planner may count on: stores, sun, vehicles, modes, jobs; told by a module or derived."""
    from ores.cli import commands

    commands.flexibility(url, data, as_json=as_json)


@app.command()
def why(
    module: Annotated[str | None, typer.Argument(help="A module's name or id, or MODULE/ELEMENT.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many decisions.")] = 20,
    as_json: Json = False,
) -> None:
    """Say why things are as they are: the newest decisions with their reasons."""
    from ores.cli import commands

    commands.why(url, data, module, limit, as_json=as_json)


@app.command()
def pair(
    code: Annotated[str, typer.Argument(help="The code on the module's label.")],
    module_id: Annotated[str | None, typer.Option("--id", help="A module that was found.")] = None,
    address: Annotated[str | None, typer.Option(help="Or where it listens, HOST:PORT.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Join a module to the hub."""
    from ores.cli import commands

    commands.pair(url, data, code, module_id, address, as_json=as_json)


@app.command()
def notices(
    ended: Annotated[
        bool, typer.Option("--ended", help="With those that ended in the last 24 hours.")
    ] = False,
    seen: Annotated[int | None, typer.Option(help="Say that this one, by its number, has been seen.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Show what a person should know, or say that somebody has seen it."""
    from ores.cli import commands

    commands.notices(url, data, ended=ended, seen=seen, as_json=as_json)


@app.command()
def prefer(
    changes: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE …; NAME= removes it.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Show the owner's preferences, or change them: `ores prefer ev_mode=surplus export_max_w=0`."""
    from ores.cli import commands

    commands.prefer(url, data, changes or [], as_json=as_json)


@app.command()
def hub(
    data: Annotated[Path, typer.Option(help="Where it keeps its state.")] = HUB_DATA,
    name: Annotated[str, typer.Option(help="What people call it.")] = "ORES hub",
    port: Annotated[int, typer.Option(help="Of the page on this machine; 0 picks a free one.")] = 8080,
    listen: Annotated[
        str | None, typer.Option(help="Address for the page on the network (HTTPS), once an owner exists.")
    ] = None,
    https_port: Annotated[int, typer.Option(help="Of that.")] = 8443,
    allowed_host: Annotated[list[str] | None, typer.Option(help="A further name of this hub.")] = None,
    discover: Annotated[bool, typer.Option(help="Look for modules with DNS-SD.")] = True,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="mqtt://[USER:PASSWORD@]HOST[:PORT]",
            help="Broker to show the house to, as Home Assistant discovers it.",
            envvar="ORES_MQTT",
        ),
    ] = None,
    sunspec: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS:]PORT[?control=yes]",
            help="Be a SunSpec device over Modbus TCP there; on this machine alone unless ADDRESS says more.",
            envvar="ORES_SUNSPEC",
        ),
    ] = None,
    tariff: Annotated[
        str | None, typer.Option(metavar="FILE.json:ID", help="Plan the batteries by this tariff.")
    ] = None,
    simulated: Annotated[bool, typer.Option(hidden=True)] = False,
    join: Annotated[str | None, typer.Option(hidden=True)] = None,
    speed: Annotated[float | None, typer.Option(hidden=True)] = None,
    end_with_input: Annotated[bool, typer.Option("--end-with-input", hidden=True)] = False,
    clock: Annotated[datetime | None, typer.Option(hidden=True, formats=["%Y-%m-%dT%H:%M:%S.%f%z"])] = None,
    as_json: Json = False,
) -> None:
    """Run a hub for real modules."""
    from ores.cli import run
    from ores.hub.config import HubConfig

    config = HubConfig(
        data=data,
        name=name,
        port=port,
        listen=listen,
        https_port=https_port,
        allowed_hosts=tuple(allowed_host or ()),
        discover=discover,
        simulated=simulated,
        speed=speed,
        mqtt=mqtt,
        sunspec=sunspec,
        tariff=tariff,
    )
    run.hub(config, join=join, start_utc=clock, end_with_input=end_with_input, as_json=as_json)


@app.command()
def module(
    name: Annotated[
        str, typer.Argument(help="meter, battery, hybrid, gateway, charger, heat_pump or panel.")
    ],
    data: Annotated[Path | None, typer.Option(help="Where it keeps its key and what persists.")] = None,
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 0,
    as_json: Json = False,
) -> None:
    """Run one simulated module, to try a hub with."""
    from ores.cli import run

    run.module(name, data, port, as_json=as_json)


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No page; needs --hours.")] = False,
    speed: Annotated[
        float, typer.Option(help="Simulated seconds per second, at most; 1 is real time.")
    ] = 1.0,
    hours: Annotated[float | None, typer.Option(help="Simulated; without it until Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same run.")] = 1,
    link: Annotated[str, typer.Option(help="sockets, or memory for long replays.")] = "sockets",
    replay: Annotated[Path | None, typer.Option(help="A recorded home (Parquet).")] = None,
    home: Annotated[str | None, typer.Option(help="Which home of the file.")] = None,
    start_hour: Annotated[
        float | None, typer.Option(min=0, help="Hour of the scene, or hours into the recording, to begin at.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Keep state here instead of throwing it away.")] = None,
    port: Annotated[int, typer.Option(help="Of the page; 0 picks a free one.")] = 8080,
    world_port: Annotated[int, typer.Option(help="Of the simulated world; 0 picks a free one.")] = 8090,
    prefer: Annotated[list[str] | None, typer.Option(help="A preference, NAME=VALUE.")] = None,
    tariff: Annotated[
        str | None, typer.Option(metavar="FILE.json:ID", help="Plan the batteries by this tariff.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a simulated home with a hub and its page; print the address."""
    from ores.cli import run
    from ores.cli.demo.options import DemoOptions

    options = DemoOptions(
        headless=headless,
        speed=speed,
        hours=hours,
        seed=seed,
        link=link,
        replay=replay,
        home=home,
        start_hour=start_hour,
        data=data,
        port=0 if headless else port,
        world_port=0 if headless else world_port,
        prefer=tuple(prefer or ()),
        tariff=tariff,
    )
    run.demo(options, as_json=as_json)


@app.command()
def conform(
    address: Annotated[str, typer.Argument(metavar="[https://HOST:PORT]", help="Where it listens.")] = "",
    code: Annotated[str, typer.Option(help="The code on its label.")] = "",
    profile: Annotated[str | None, typer.Option(help="A profile it has to meet, such as storage.")] = None,
    report: Annotated[Path | None, typer.Option(help="Directory for report.html, .json, junit.xml.")] = None,
    max_power: Annotated[float, typer.Option(help="No set-point of the kit goes beyond, in W.")] = 1000.0,
    hub: Annotated[bool, typer.Option("--hub", help="It is a hub; the kit plays its modules.")] = False,
    token: Annotated[str, typer.Option(help="A hub's: of the role owner, where it has an owner.")] = "",
    network: Annotated[str, typer.Option(help="A hub's address beyond its own machine.")] = "",
    restart: Annotated[str | None, typer.Option(help="Command that switches it off and on.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run only this check; may be repeated.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show passed checks too.")] = False,
    self_test: Annotated[bool, typer.Option("--self-test", help="Judge the kit by its mutants.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Mutants meet their own checks alone.")] = False,
    sweep: Annotated[int, typer.Option(help="Alter every Nth field of the reference; list survivors.")] = 0,
    as_json: Json = False,
) -> None:
    """Judge a module, or a hub, over the wire, from the standard alone."""
    from ores.conformance.command import Wanted, conform, sweep_the_kit, test_the_kit

    if sweep:
        sys.exit(sweep_the_kit(" ".join(only or ()), sweep, as_json=as_json))
    if self_test:
        sys.exit(test_the_kit(tuple(only or ()), "hub" if hub else "", quick=quick, as_json=as_json))
    checks = tuple(only or ())
    wanted = Wanted(
        address, code, profile, report, max_power, restart, checks, as_json, verbose, hub, token, network
    )
    sys.exit(conform(wanted))


@app.command()
def backtest(
    homes: Annotated[list[str], typer.Option(help="FILE.parquet or .csv, or FILE:h01,h05.")],
    tariff: Annotated[str, typer.Option(help="FILE.json:ID.")],
    battery: Annotated[str, typer.Option(help="Capacity, power, efficiency each way.")] = "13.5kWh,5kW,0.95",
    policy: Annotated[
        str, typer.Option(help="none, rule, timer, slots, plan, oracle.")
    ] = "none,rule,plan,oracle",
    prices: Annotated[list[str] | None, typer.Option(help="A series of prices, NAME=FILE:COLUMN.")] = None,
    zone: Annotated[str | None, typer.Option(help="Grid or price zone, where there are several.")] = None,
    soc: Annotated[float, typer.Option(min=0, max=100, help="SoC in which the year begins, in %.")] = 0.0,
    jobs: Annotated[int, typer.Option(min=0, help="Homes at once; 0 for one on each core.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    as_json: Json = False,
) -> None:
    """Run a recorded year of homes through the planner, beside a rule and perfect foresight."""
    from ores.cli import backtest as command

    wanted = command.Wanted(
        tuple(homes), tariff, battery, policy, tuple(prices or ()), zone, soc, jobs, html, as_json
    )
    command.run(wanted)


def main() -> None:
    """Run the command; an error is one sentence on standard error and an exit code, never a traceback."""
    try:
        app()
    except ConfigError as error:
        _fail(str(error), 2)
    except Unavailable as error:
        _fail(str(error), 3)
    except OresError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("stopped", 130)


def _fail(text: str, code: int) -> None:
    print(f"ores: {text}", file=sys.stderr)
    sys.exit(code)
