"""`ores adapter`: other people's devices as modules."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ores.cli.options import Json
from ores.link.errors import ConfigError

adapters = typer.Typer(
    name="adapter", help="Other people's devices as modules.", no_args_is_help=True, rich_markup_mode=None
)


Unit = Annotated[
    int | None, typer.Option(min=0, max=255, help="Modbus unit of the device; else the usual one.")
]
Answers = Annotated[
    list[str] | None, typer.Option("--set", help="Answer to a question of the template: NAME=VALUE.")
]
Rtu = Annotated[bool, typer.Option("--rtu", help="The host passes Modbus RTU on, as serial gateways do.")]
Baud = Annotated[int, typer.Option(min=0, help="Of a serial line; else the usual one.")]
Logger = Annotated[
    int,
    typer.Option(min=0, max=0xFFFF_FFFF, help="Serial number of the Solarman logger that the host is."),
]
Parity = Annotated[str, typer.Option(help="Of a serial line: none, even or odd; else the usual one.")]


@adapters.command()
def serve(
    protocol: Annotated[str, typer.Argument(help="sunspec, mqtt, ocpp, or template and its file or name.")],
    device: Annotated[
        list[str],
        typer.Argument(
            metavar="[TEMPLATE] HOST[:PORT]",
            help="Where the device, or the broker, listens; of ocpp, ids of chargers.",
        ),
    ],
    data: Annotated[Path, typer.Option(help="Where it keeps its key and what persists.")],
    unit: Unit = None,
    name: Annotated[str, typer.Option(help="What its owner calls it.")] = "",
    control: Annotated[bool, typer.Option("--control", help="Let it be commanded; else it is read.")] = False,
    connection_point: Annotated[
        bool, typer.Option("--connection-point", help="Its meter is the one at the grid connection point.")
    ] = False,
    turned: Annotated[
        bool, typer.Option("--turned", help="Its meter is mounted the other way round.")
    ] = False,
    power_turned: Annotated[
        bool, typer.Option("--power-turned", help="Its meter shows import as negative.")
    ] = False,
    conductor: Annotated[str, typer.Option(help="L1, L2 or L3, of a device with one phase.")] = "",
    capacity_wh: Annotated[
        float | None, typer.Option(min=1, help="Usable, of a battery that does not tell.")
    ] = None,
    period: Annotated[
        float,
        typer.Option(min=0.5, max=60, help="Seconds between two states; read twice as often."),
    ] = 1.0,
    answers: Answers = None,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Of mqtt and ocpp: what you say of the devices (YAML).")
    ] = None,
    port: Annotated[
        int, typer.Option(help="Of the module; 0 picks a free one. Of ocpp: where chargers call in.")
    ] = 0,
    rtu: Rtu = False,
    baud: Baud = 0,
    parity: Parity = "",
    logger: Logger = 0,
    as_json: Json = False,
) -> None:
    """Show a foreign device as a module, for a hub to pair with and for `ores conform` to judge.

    It is only read, until --control is given.
    """
    if protocol == "mqtt":
        _check_installed("aiomqtt")
        from ores.cli import mqtt_run

        (broker,) = _places(device, "BROKER")
        mqtt_run.serve(
            broker,
            data,
            map_file,
            control=control,
            name=name,
            period_s=period,
            port=port,
            as_json=as_json,
        )
        return
    if protocol == "ocpp":
        _check_installed("ocpp")
        from ores.cli import ocpp_run

        ocpp_run.serve(
            device,
            data,
            map_file,
            answers or [],
            control=control,
            period_s=period,
            port=port,
            as_json=as_json,
        )
        return
    _check_installed()
    from ores.adapters.sunspec.image import Options
    from ores.cli import adapter_run

    line = adapter_run.Line(rtu, baud, parity, logger)
    if protocol == "template":
        from ores.cli import template_run

        name_or_file, host = _places(device, "TEMPLATE", "HOST[:PORT]")
        template, given = template_run.asked(
            name_or_file,
            answers or [],
            capacity_wh=capacity_wh,
            control=control,
            connection_point=connection_point,
            turned=turned,
            power_turned=power_turned,
            conductor=conductor.upper(),
        )
        template_run.serve(
            template,
            host,
            unit,
            data,
            given,
            name=name,
            period_s=period,
            port=port,
            as_json=as_json,
            line=line,
        )
        return
    (host,) = _places(device, "HOST[:PORT]")
    options = Options(
        control=control,
        connection_point=connection_point,
        turned=turned,
        power_turned=power_turned,
        conductor=conductor.upper(),
        capacity_wh=capacity_wh,
    )
    adapter_run.serve(
        protocol,
        host,
        1 if unit is None else unit,
        data,
        options,
        name=name,
        period_s=period,
        port=port,
        as_json=as_json,
        line=line,
    )


@adapters.command(name="try")
def try_(
    template: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="Of a template.")],
    device: Annotated[
        str,
        typer.Argument(
            metavar="HOST[:PORT]", help="Where it listens, or a serial port such as /dev/ttyUSB0."
        ),
    ],
    unit: Unit = None,
    answers: Answers = None,
    once: Annotated[bool, typer.Option("--once", help="One look, instead of one after the other.")] = False,
    rtu: Rtu = False,
    baud: Baud = 0,
    parity: Parity = "",
    logger: Logger = 0,
    as_json: Json = False,
) -> None:
    """Show what a device says by a template, live. Nothing is written to it."""
    _check_installed()
    from ores.cli import adapter_run, template_run

    known, given = template_run.asked(template, answers or [])
    line = adapter_run.Line(rtu, baud, parity, logger)
    template_run.watch(known, device, unit, given, once=once, as_json=as_json, line=line)


@adapters.command()
def templates(
    name: Annotated[str, typer.Argument(metavar="[FILE_OR_NAME]", help="What this one asks.")] = "",
    as_json: Json = False,
) -> None:
    """List the templates of devices that are shipped, or the questions of one."""
    _check_installed()
    from ores.cli import template_run

    template_run.templates(name, as_json=as_json)


def scan(
    where: Annotated[
        str,
        typer.Argument(
            metavar="[CIDR|HOST|/dev/ttyUSB0]", help="Where to look; the networks of this machine."
        ),
    ] = "",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Of Modbus TCP.")] = 502,
    unit: Annotated[
        list[int] | None, typer.Option(min=0, max=255, help="Modbus unit to ask for; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look for devices that could be modules, and say what they are. Nothing is written to any of them."""
    _check_installed()
    from ores.cli import adapter_run

    adapter_run.scan(where, port, unit or [], as_json=as_json)


def _places(given: list[str], *wanted: str) -> list[str]:
    """What stands between protocol and options.

    Raises:
        ConfigError: It is more or less than the protocol needs.
    """
    if len(given) != len(wanted):
        raise ConfigError("arguments", found=" ".join(given), allowed=" ".join(wanted))
    return given


def _check_installed(library: str = "pymodbus") -> None:
    """A device maker's plain install has no Modbus, no MQTT and no OCPP.

    Raises:
        ConfigError: It is missing; says how to get it.
    """
    if find_spec(library) is None:
        raise ConfigError("install", found=f"no {library}", allowed="pip install 'ores-energy[hub]'")
