"""A template out of its file, checked before anybody relies on it.

What is wrong is said so that whoever writes a template can put it right: which file, which field, what was
found there and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from ores.adapters.templates.check import contradictions
from ores.adapters.templates.expression import Expression
from ores.adapters.templates.form import (
    Case,
    Command,
    ElementForm,
    Question,
    Sign,
    Source,
    Step,
    Template,
    Transport,
    Watchdog,
)
from ores.adapters.templates.points import Point
from ores.link.errors import ConfigError

SIZE_MAX: Final = 200_000
_TREE: Final = resources.files("ores.adapters.templates")
_NO_SUMS: Final = frozenset({"terminals", "connection_point"})


def names() -> list[str]:
    """Templates that are shipped."""
    return sorted(
        one.name.removesuffix(".yaml") for one in (_TREE / "devices").iterdir() if one.name.endswith(".yaml")
    )


@cache
def shipped(name: str) -> Template:
    """One that is shipped, by its name."""
    return parsed((_TREE / "devices" / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml", name)


def load(file_or_name: str) -> Template:
    """A template of a person's own, by its file, or one that is shipped, by its name.

    Raises:
        ConfigError: There is none, or something in it is not right; names file and field.
    """
    if file_or_name in names():
        return shipped(file_or_name)
    path = Path(file_or_name)
    if path.suffix not in {".yaml", ".yml"} and not path.is_file():
        raise ConfigError("template", found=file_or_name, allowed=f"a file, or one of {', '.join(names())}")
    try:
        if path.stat().st_size > SIZE_MAX:
            raise ConfigError(str(path), found="a larger file", allowed=f"at most {SIZE_MAX} bytes")
        found = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("template", found=str(error), allowed="a file that can be read") from error
    return parsed(found, path.name, path.stem)


def parsed(content: str, file: str, name: str) -> Template:
    """A template out of the text of its file.

    Args:
        content: YAML.
        file: For what is said of mistakes.
        name: That it has to have.

    Raises:
        ConfigError: Something in it is not right.
    """
    try:
        tree = yaml.load(content, Loader=_OnceLoader)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(file, found=" ".join(str(error).split())[:200], allowed="YAML") from error
    tree = _with_text_keys(tree)
    problem = min(_validator().iter_errors(tree), key=_rank, default=None)
    if problem is not None:
        raise _said(problem, file)
    if tree["name"] != name:
        raise ConfigError(f"{file}: name", found=tree["name"], allowed=f"{name}, as the file is called")
    template = _Builder(tree, file).template()
    for field, found, allowed in contradictions(template):
        raise ConfigError(f"{file}: {field}", found=found, allowed=allowed)
    return template


class _OnceLoader(yaml.SafeLoader):
    """YAML in which a key stands once: of two the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As its base, and refuses a key that is there twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.YAMLError(f"{key.value} twice, line {key.start_mark.line + 1}")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Builder:
    """Structs out of a tree that the schema allows."""

    def __init__(self, tree: dict[str, Any], file: str) -> None:
        self._tree: Final = tree
        self._file: Final = file

    def template(self) -> Template:
        tree = self._tree
        detect = tree["detect"]
        signs = detect if isinstance(detect, list) else []
        return Template(
            file=self._file,
            name=tree["name"],
            title=tree["title"],
            maker=tree["maker"],
            models=tuple(tree["models"]),
            tried_on_hardware=tree["tried_on_hardware"],
            sources=tuple(msgspec.convert(tree["sources"], list[Source])),
            quirks=tuple(tree.get("quirks", ())),
            setup=tuple(tree.get("setup", ())),
            transport=msgspec.convert(tree["transport"], Transport),
            questions={name: _question(one) for name, one in tree.get("questions", {}).items()},
            points={name: self._point(one) for name, one in tree["points"].items()},
            identity=tree.get("identity", {}),
            detect=tuple(msgspec.convert(signs, list[Sign])),
            undetectable="" if signs else detect["none"],
            local=self._sum(tree, "local", "local"),
            elements=tuple(self._element(one, f"elements[{at}]") for at, one in enumerate(tree["elements"])),
            commands=tuple(
                self._command(one, f"commands[{at}]") for at, one in enumerate(tree.get("commands", ()))
            ),
        )

    def _point(self, one: dict[str, Any]) -> Point:
        flash = one.get("flash", {})
        given = {**self._tree.get("defaults", {}), **{key: it for key, it in one.items() if key != "flash"}}
        return msgspec.convert({**given, **flash}, Point, strict=False)

    def _element(self, one: dict[str, Any], where: str) -> ElementForm:
        sums: dict[str, Mapping[str, Expression]] = {}
        words: dict[str, Mapping[str, str]] = {}
        place = {"id", "kind", "bus", "upstream", "connection", "when", "faults"}
        for capability in one.keys() - place:
            fields = {key: it for key, it in one[capability].items() if key not in _NO_SUMS}
            texts = {key: it for key, it in fields.items() if key.endswith("_bus")}
            words[capability] = texts
            sums[capability] = {
                key: self._one(it, f"{where}.{capability}.{key}")
                for key, it in fields.items()
                if key not in texts
            }
        connection = one.get("connection", "")
        chosen = connection if isinstance(connection, dict) else {}
        return ElementForm(
            id=one["id"],
            kind=one["kind"],
            bus=one.get("bus", ""),
            upstream=one.get("upstream", ""),
            connection="" if chosen else connection,
            connection_by=self._sum(chosen, "by", f"{where}.connection.by"),
            connections={int(key): it for key, it in chosen.get("is", {}).items()},
            when=self._sum(one, "when", f"{where}.when"),
            sums=sums,
            words=words,
            terminals={
                line: self._sums(fields, f"{where}.ac_measure.terminals.{line}")
                for line, fields in one.get("ac_measure", {}).get("terminals", {}).items()
            },
            connection_point=one.get("ac_measure", {}).get("connection_point", False),
            faults=tuple(
                (fault["code"], self._one(fault["when"], f"{where}.faults[{at}].when"))
                for at, fault in enumerate(one.get("faults", ()))
            ),
        )

    def _command(self, one: dict[str, Any], where: str) -> Command:
        dog = one["watchdog"]
        setpoint = one.get("setpoint")
        return Command(
            element=one["element"],
            limit=tuple(one.get("limit", ())),
            setpoint=None if setpoint is None else self._sums(setpoint, f"{where}.setpoint"),
            amount=self._one(one["amount"], f"{where}.amount"),
            cases=tuple(
                Case(
                    below=self._sum(case, "below", f"{where}.cases[{at}].below"),
                    above=self._sum(case, "above", f"{where}.cases[{at}].above"),
                    write=self._steps(case["write"], f"{where}.cases[{at}].write"),
                )
                for at, case in enumerate(one["cases"])
            ),
            released=self._steps(one.get("released", ()), f"{where}.released"),
            watchdog=Watchdog(
                timeout_s=dog.get("timeout_s"),
                says=dog.get("then") or dog["none"],
                refresh=tuple(dog.get("refresh", ())),
                any_request=dog.get("any_request", False),
            ),
            every_s=one.get("every_s", 0.0),
        )

    def _steps(self, steps: Sequence[dict[str, Any]], where: str) -> tuple[Step, ...]:
        return tuple(self._sums(step, f"{where}[{at}]") for at, step in enumerate(steps))

    def _sums(self, fields: Mapping[str, Any], where: str) -> dict[str, Expression]:
        return {key: self._one(it, f"{where}.{key}") for key, it in fields.items()}

    def _sum(self, fields: Mapping[str, Any], key: str, where: str) -> Expression | None:
        return self._one(fields[key], where) if key in fields else None

    def _one(self, given: str | float, where: str) -> Expression:
        try:
            return Expression(given)
        except ValueError as error:
            raise ConfigError(f"{self._file}: {where}", found=given, allowed=f"a sum: {error}") from error


def _question(one: dict[str, Any]) -> Question:
    """Yes is 1 and no 0, as in an answer."""
    default = one.get("default")
    return msgspec.convert({**one, "default": None if default is None else float(default)}, Question)


@cache
def _validator() -> Draft202012Validator:
    schema = yaml.safe_load((_TREE / "format.json").read_text("utf-8"))
    return Draft202012Validator(schema)


def _rank(error: ValidationError) -> tuple[int, str]:
    """What lies deepest is most to the point."""
    return (-len(error.absolute_path), error.json_path)


def _said(error: ValidationError, file: str) -> ConfigError:
    """What the schema does not allow, as one sentence."""
    while error.context:  # of several forms, the one that was nearly met
        error = min(error.context, key=_rank)
    field = f"{file}: {error.json_path.removeprefix('$').removeprefix('.') or 'the whole file'}"
    rule: Any = error.validator_value
    found: Any = error.instance
    match str(error.validator):
        case "required":
            return ConfigError(
                field, found=f"no {next(one for one in rule if one not in found)}", allowed=", ".join(rule)
            )
        case "additionalProperties":
            schema: Any = error.schema
            known = schema.get("properties", {})
            return ConfigError(field, found=min(found.keys() - known.keys()), allowed=", ".join(known))
        case "enum":
            allowed = "one of " + ", ".join(map(str, rule))
        case "type":
            allowed = "of type " + (rule if isinstance(rule, str) else " or ".join(rule))
        case "minimum" | "maximum":
            allowed = f"at {'least' if error.validator == 'minimum' else 'most'} {rule}"
        case "pattern":
            allowed = f"what matches {rule}"
        case _:
            allowed = error.message[:200]
    return ConfigError(field, found=str(found)[:80], allowed=allowed)


def _with_text_keys(tree: object) -> Any:
    """A tree of YAML, anything until the schema has seen it: its keys may be numbers, those of JSON not."""
    if isinstance(tree, dict):
        return {str(key): _with_text_keys(one) for key, one in tree.items()}
    return [_with_text_keys(one) for one in tree] if isinstance(tree, list) else tree
