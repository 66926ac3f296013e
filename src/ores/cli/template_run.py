"""What `ores adapter serve template`, `ores adapter try` and `ores adapter templates` run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ores.adapters.serve import Adapter
from ores.adapters.templates import parse
from ores.adapters.templates.answers import Answers, form, known, parsed
from ores.adapters.templates.device import TemplateDevice
from ores.adapters.templates.form import Template
from ores.adapters.templates.found import find, find_or_remember
from ores.cli.adapter_run import Line, Reached, registers_at, show
from ores.cli.until import asked_to_end
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.link.errors import ConfigError, PeerError
from ores.model import ElementState

CONDUCTORS: Final = ("L1", "L2", "L3")
READ_SHARE: Final = 0.5
"""Of a report period between two readings, so that what is reported is never older than one (FRESH-004)."""


def asked(
    name_or_file: str,
    said: Sequence[str],
    *,
    capacity_wh: float | None = None,
    control: bool = False,
    connection_point: bool = False,
    turned: bool = False,
    power_turned: bool = False,
    conductor: str = "",
) -> tuple[Template, Answers]:
    """A template, and what a person says about the device.

    Args:
        name_or_file: Of the template.
        said: Answers to its questions, each NAME=VALUE.
        capacity_wh: One answer that has an option of its own; None where it was not given.
        control: As in `Answers`; so are all that follow.
        connection_point: Of the first meter.
        turned: Of the meter.
        power_turned: Of the meter.
        conductor: Of a device with one phase.

    Raises:
        ConfigError: Something in the template or in the answers is not right; says what.
    """
    template = parse.load(name_or_file)
    if conductor and conductor not in CONDUCTORS:
        raise ConfigError("conductor", found=conductor, allowed=", ".join(CONDUCTORS))
    answers = [*said, *([] if capacity_wh is None else [f"capacity_wh={capacity_wh}"])]
    given = parsed(template, answers)
    known(template, given)
    return template, Answers(
        control=control,
        connection_point=connection_point,
        turned=turned,
        power_turned=power_turned,
        conductor=conductor,
        given=given,
    )


def serve(
    template: Template,
    device: str,
    unit: int | None,
    directory: Path,
    answers: Answers,
    *,
    name: str,
    period_s: float,
    port: int,
    as_json: bool,
    line: Line,
) -> None:
    """Show a device as a module until the process is asked to end.

    Args:
        template: Of the device.
        device: HOST, HOST:PORT or the path of a serial port.
        unit: Modbus unit; None for the template's.
        directory: Of this module alone.
        answers: What the device cannot tell.
        name: What its owner calls it.
        period_s: Between two states; never less than the device allows.
        port: Of the module; 0 picks a free one.
        as_json: For programs.
        line: How it is reached.

    Raises:
        ConfigError: Something in the command is not right; says what.
        OresError: The device does not answer, or is not what it is taken for.
    """
    period_s = max(period_s, template.transport.period_s / READ_SHARE)

    async def adapter(registers: Reached, clock: Clock) -> Adapter:
        return TemplateDevice(
            template,
            await find_or_remember(template, registers, clock, directory),
            registers,
            clock,
            answers=answers,
            directory=directory,
            name=name,
            period_s=period_s * READ_SHARE,
        )

    show(
        lambda clock: _registers(template, device, unit, line, clock),
        adapter,
        directory,
        period_s=period_s,
        port=port,
        controlled=answers.control,
        as_json=as_json,
    )


def watch(
    template: Template,
    device: str,
    unit: int | None,
    answers: Answers,
    *,
    once: bool,
    as_json: bool,
    line: Line,
) -> None:
    """Show what a device says by its template, until the process is asked to end. Nothing is written to it.

    Args:
        template: Of the device.
        device: HOST, HOST:PORT or the path of a serial port.
        unit: Modbus unit; None for the template's.
        answers: What the device cannot tell.
        once: One look.
        as_json: For programs: one object a round.
        line: How it is reached.

    Raises:
        ConfigError: Something in the command is not right; says what.
        OresError: The device does not answer, or is not what it is taken for.
    """

    async def main(clock: Clock) -> None:
        stop = asked_to_end()
        registers = _registers(template, device, unit, line, clock)
        found = await find(template, registers, clock)
        adapter = TemplateDevice(template, found, registers, clock, answers=answers)
        with Live(console=Console(), auto_refresh=False, transient=not once and not as_json) as live:

            def shown() -> None:
                states = {one.id: adapter.read(one.id) for one in adapter.elements}
                if as_json:
                    said = {"values": adapter.values, "elements": states}
                    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
                    sys.stdout.flush()
                else:
                    live.update(_table(template, adapter.values, states), refresh=True)
                if once:
                    stop.set()

            adapter.tell(shown)
            await adapter.start()
            try:
                if once and not adapter.values:
                    raise PeerError(f"{template.title}: it refuses registers of its template, see above")
                await stop.wait()
            finally:
                await adapter.stop()

    clocks.run(main, speed=1)


def templates(name: str, *, as_json: bool) -> None:
    """List the templates that are shipped, or what one of them asks.

    Args:
        name: Of one; empty for all.
        as_json: For programs.

    Raises:
        ConfigError: There is none of this name, or a file is not right.
    """
    if name:
        _questions(parse.load(name), as_json=as_json)
        return
    all_ = [parse.shipped(one) for one in parse.names()]
    if as_json:
        listed = [
            {
                "name": one.name,
                "title": one.title,
                "maker": one.maker,
                "models": one.models,
                "elements": [element.id for element in one.elements],
                "tried_on_hardware": one.tried_on_hardware,
            }
            for one in all_
        ]
        sys.stdout.write(msgspec.json.encode(listed).decode() + "\n")
        return
    table = Table("name", "device", "shown as", "commanded", "tried on hardware")
    for one in all_:
        commanded = ", ".join(dict.fromkeys(command.element for command in one.commands))
        shown = ", ".join(element.id for element in one.elements)
        table.add_row(one.name, one.title, shown, commanded, "yes" if one.tried_on_hardware else "not yet")
    Console().print(table)


def _questions(template: Template, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(form(template)).decode() + "\n")
        return
    table = Table("--set", "question", "usual")
    for name, one in template.questions.items():
        usual = "" if one.default is None else f"{one.default:g}"
        table.add_row(name, one.ask, usual or ("may be left out" if one.optional else "has to be answered"))
    Console().print(template.title, *template.setup, *template.quirks, sep="\n")
    Console().print(table if template.questions else "It has no questions.")


def _table(template: Template, values: Mapping[str, float | None], states: dict[str, ElementState]) -> Table:
    """Values of the points, and what is made of them."""
    table = Table("point", "value", "unit", title=template.title)
    for name, value in values.items():
        point = template.points.get(name)
        unit = "" if point is None or point.unit == "1" else point.unit
        table.add_row(name, "not known" if value is None else f"{value:.10g}", unit)
    table.add_section()
    for element, state in states.items():
        for capability, said in msgspec.to_builtins(state).items():
            table.add_row(f"{element} {capability}", msgspec.json.encode(said).decode(), "")
    return table


def _registers(template: Template, device: str, unit: int | None, line: Line, clock: Clock) -> Reached:
    at = template.transport.unit if unit is None else unit
    return registers_at(device, line, unit=at, clock=clock, usual=template.transport)
