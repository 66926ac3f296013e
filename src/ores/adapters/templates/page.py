"""The page about a device, out of its template. Pure: a template in, Markdown out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ores.adapters.templates.form import Command, ElementForm, Question, Template
from ores.adapters.templates.points import Point

_NOTE: Final = "<!-- Generated from the template by `make generate`; never edited. -->"
_OVER: Final = {
    "tcp": "Modbus TCP",
    "rtu": "Modbus RTU at a serial port",
    "rtu_over_tcp": "Modbus RTU over TCP",
    "solarman": "a Solarman logger",
}


def page(template: Template) -> str:
    """All that a person needs to know of a device before connecting it."""
    tried = "Tried on hardware." if template.tried_on_hardware else "**Not yet tried on hardware.**"
    parts = [
        _NOTE,
        f"# {template.title}",
        f"{template.maker}: {', '.join(template.models)}. {tried}",
        _start(template),
        _listed("Before you begin", template.setup),
        "## Shown as\n\n"
        + _table(("element", "kind", "what is known of it"), map(_element_row, template.elements)),
        _commands(template),
        _questions(template),
        _listed("What surprises", template.quirks),
        _found(template),
        "## Registers\n\n"
        "Addresses are those on the wire, counted from 0. What is not listed is not read.\n\n"
        + _table(
            ("point", "address", "table", "type", "one step is", "remarks"),
            (_point_row(name, point) for name, point in template.points.items()),
        ),
        "## Sources\n\n" + "\n".join(_source_line(template)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(templates: Sequence[Template]) -> str:
    """The page that lists all of them."""
    rows = [
        (
            f"[{one.title}](devices/{one.name}.md)",
            one.maker,
            ", ".join(element.id for element in one.elements),
            ", ".join(dict.fromkeys(command.element for command in one.commands)) or "",
            "yes" if one.tried_on_hardware else "not yet",
        )
        for one in sorted(templates, key=lambda one: (one.maker.lower(), one.title))
    ]
    told = (
        "Each of these Modbus devices is one file, from which driver, form and page are made; what they have "
        "in common is told in [Other people's devices](adapters.md). None is commanded before its owner "
        "allows it with `--control`."
    )
    head = ("device", "maker", "shown as", "can be commanded", "tried on hardware")
    return "\n\n".join((_NOTE, "# Devices by template", told, _table(head, rows))) + "\n"


def _start(template: Template) -> str:
    needed = [
        f" --set {name}=…"
        for name, one in template.questions.items()
        if one.default is None and not one.optional
    ]
    where = "HOST" if template.transport.port == 502 else f"HOST:{template.transport.port}"
    asked = "".join(needed)
    return (
        "```sh\n"
        f"ores adapter try {template.name} {where}{asked}\n"
        f"ores adapter serve template {template.name} {where} --data DIRECTORY{asked}\n"
        "```"
    )


def _element_row(element: ElementForm) -> tuple[str, ...]:
    known = []
    for capability in sorted(element.sums):
        fields = ", ".join(f"`{key}`" for key in element.sums[capability])
        known.append(f"{capability}: {fields}")
    if element.terminals:
        known.append(
            "per conductor: " + ", ".join(f"`{key}`" for key in next(iter(element.terminals.values())))
        )
    if element.faults:
        known.append("faults: " + ", ".join(f"`{code}`" for code, _ in element.faults))
    return f"`{element.id}`", element.kind, "; ".join(known)


def _commands(template: Template) -> str:
    if not template.commands:
        return "## Commanded by\n\nNothing: this device is only read."
    rows = [
        (f"`{one.element}`", _what(one), _ends(one), _flash(template, one) or "") for one in template.commands
    ]
    return "## Commanded by\n\n" + _table(("element", "what", "ends by itself", "wears out"), rows)


def _what(command: Command) -> str:
    return "set-point" if command.setpoint is not None else f"limit: {', '.join(command.limit)}"


def _ends(command: Command) -> str:
    dog = command.watchdog
    if dog.timeout_s is None:
        return f"**no**: {dog.says} It cannot fall back by itself."
    how = "every request renews it" if dog.any_request else f"renewed each {dog.timeout_s / 2:g} s"
    return f"after {dog.timeout_s:g} s, {how}. {dog.says}"


def _flash(template: Template, command: Command) -> str:
    kept = [
        f"`{name}` is kept in flash: {template.points[name].writes_per_day} writes a day at most"
        for name in command.points()
        if template.points[name].writes_per_day is not None
    ]
    return "; ".join(kept)


def _questions(template: Template) -> str:
    if not template.questions:
        return ""
    rows = [(f"`--set {name}=…`", one.ask, _answer(one)) for name, one in template.questions.items()]
    return "## Questions\n\n" + _table(("option", "question", "answer"), rows)


def _answer(one: Question) -> str:
    if one.type == "yes_no":
        kind = "yes or no"
    elif one.choices:
        kind = " or ".join(f"{choice:g}" for choice in one.choices)
    else:
        bounds = [f"{bound:g}" for bound in (one.least, one.most) if bound is not None]
        kind = f"{' to '.join(bounds)} {one.unit}".strip()
    if one.default is not None:
        usual = ("yes" if one.default else "no") if one.type == "yes_no" else f"{one.default:g}"
        return f"{kind}; else {usual}"
    return f"{kind}; may be left out" if one.optional else kind


def _found(template: Template) -> str:
    transport = template.transport
    over = ", ".join(_OVER[one] for one in transport.over)
    lines = [f"{over}; unit {transport.unit}."]
    if {"rtu", "rtu_over_tcp"} & set(transport.over):
        lines.append(f"At a serial line {transport.baud} baud, parity {transport.parity}.")
    if template.detect:
        signs = ", ".join(f"`{one.point}`" for one in template.detect)
        lines.append(f"`ores scan` recognises it by reading {signs}.")
    else:
        lines.append(f"`ores scan` does not recognise it: {template.undetectable}")
    return "## Connection\n\n" + " ".join(lines)


def _point_row(name: str, point: Point) -> tuple[str, ...]:
    step = f"{point.scale:g} {point.unit}" if point.unit != "1" else f"{point.scale:g}"
    words = "" if point.words == "high_first" or point.size == 1 else ", low word first"
    remarks = [point.means]
    remarks += ["read once"] if point.static else []
    remarks += ["not in all devices"] if point.optional else []
    remarks += ["written, and not shown by the device"] if point.write_only else []
    at = f"{point.at} (0x{point.at:04X})"
    kind = f"text of {point.registers} registers" if point.type == "text" else f"{point.type}{words}"
    told = "; ".join(one.rstrip(".") for one in remarks if one)
    return f"`{name}`", at, point.table, kind, "" if point.type == "text" else step, told


def _source_line(template: Template) -> Iterable[str]:
    for one in template.sources:
        told = f"[{one.title}]({one.url})" if one.url else one.title
        yield f"- {told}{f': {one.note}' if one.note else ''}"


def _listed(title: str, sentences: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {one}" for one in sentences) if sentences else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(one.replace("|", "\\|") for one in row) + " |" for row in rows]
    return "\n".join(lines)
