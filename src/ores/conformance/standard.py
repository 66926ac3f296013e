"""The standard as the kit reads it: requirements, profiles, error codes, and validators of messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource

Level = Literal["MUST", "SHOULD", "MAY"]
SCHEMA_HOME: Final = "https://ores.energy/schema/v1/"

YAML: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C takes a tenth of the time, where PyYAML was built with it."""


def _is_integer(_: object, value: object) -> bool:
    """An integer is written without fraction and exponent (MSG-003): `3.0` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


STRICT: Final[type[Validator]] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A normative sentence of a chapter.

    Attributes:
        id: Such as `LEASE-004`.
        profiles: Whom it binds: `module`, `hub`, or names of profiles.
        extended: Binds only who offers the feature.
        level: The keyword of the sentence.
        check: What proves it, or None where nothing can.
        untestable: Why nothing can, or None.
        candidate: Stands in a chapter that is not frozen yet.
        sentence: Its words, and its reason.
    """

    id: str
    chapter: int
    profiles: tuple[str, ...]
    extended: bool
    level: Level
    check: str | None
    untestable: str | None
    candidate: bool
    sentence: str


def home() -> Path:
    """The folder `standard/`: beside the sources, or inside the installed package.

    Raises:
        FileNotFoundError: In neither place; the installation is damaged.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "standard", here.parents[1] / "standard"):
        if (folder / "registry" / "requirements.yaml").is_file():
            return folder
    raise FileNotFoundError(f"the folder standard/ is missing beside {here.parents[1]}")


class Standard:
    """What is demanded, from one folder.

    Args:
        folder: The folder `standard/`; None finds it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder: Final = folder or home()

    @cached_property
    def requirements(self) -> Mapping[str, Requirement]:
        """Every requirement by its id."""
        sentences = _sentences((self.folder / "spec").glob("*.md"))
        table = _yaml(self.folder / "registry" / "requirements.yaml")
        candidate = frozenset(table["candidate"])
        rows = table["requirements"]
        return {row["id"]: _requirement(row, sentences.get(row["id"], ""), candidate) for row in rows}

    @cached_property
    def profiles(self) -> Mapping[str, Mapping[str, Any]]:
        """Those of modules, by name; `core` and `extended` map a kind of element to capabilities."""
        rows = _yaml(self.folder / "registry" / "profiles.yaml")
        return {row["name"]: row for row in rows if row.get("actor") != "hub"}

    @cached_property
    def capabilities(self) -> Mapping[str, Mapping[str, Any]]:
        """The capabilities by name."""
        return {row["name"]: row for row in _yaml(self.folder / "registry" / "capabilities.yaml")}

    @cached_property
    def errors(self) -> Mapping[str, Mapping[str, Any]]:
        """The codes of problems."""
        return {row["code"]: row for row in _yaml(self.folder / "registry" / "errors.yaml")}

    @cached_property
    def policies(self) -> frozenset[str]:
        """The kinds of policy."""
        rows = _yaml(self.folder / "registry" / "policies.yaml")
        return frozenset(row["name"] for row in rows)

    def proved_by(self, check: str) -> tuple[Requirement, ...]:
        """The requirements that a check proves."""
        return tuple(row for row in self.requirements.values() if row.check == check)

    def schema(self, file: str) -> Any:
        """One schema file, such as `state`, as parsed JSON."""
        return self._files[file]

    def answer_schema(
        self,
        method: str,
        path: str,
        document: str = "module",
        status: str = "200",
        *,
        stranger: bool = False,
    ) -> tuple[str, str] | None:
        """File and name of the schema of a good answer, such as `("state", "State")`; None: there is none.

        Where strangers get less than others, theirs is the last of two.
        """
        answers = self._operation(method, path, document).get("responses", {})
        return self._schema_in(answers.get(status, {}), document, last=stranger)

    def request_schema(self, method: str, path: str, document: str = "module") -> tuple[str, str] | None:
        """The same of what is sent."""
        return self._schema_in(self._operation(method, path, document).get("requestBody", {}), document)

    def _operation(self, method: str, path: str, document: str) -> Mapping[str, Any]:
        resource = path.split("?", maxsplit=1)[0]
        paths = self.openapi(document)["paths"]
        known = [resource] if resource in paths else [one for one in paths if _fits(one, resource)]
        found: Mapping[str, Any] = paths[known[0]].get(method.lower(), {}) if known else {}
        return found

    def _schema_in(
        self, holder: Mapping[str, Any], document: str, *, last: bool = False
    ) -> tuple[str, str] | None:
        if "$ref" in holder:
            holder = self.openapi(document)["components"]["responses"][holder["$ref"].rsplit("/", 1)[1]]
        schema = holder.get("content", {}).get("application/json", {}).get("schema", {})
        ref = schema.get("anyOf", [schema])[-1 if last else 0].get("$ref", "")
        file, _, name = ref.partition(".json#/$defs/")
        return (file, name) if name else None

    def openapi(self, document: str) -> Any:
        """The resources of `module` or `hub`, as parsed YAML."""
        if document not in self._documents:
            self._documents[document] = _yaml(self.folder / "schema" / "v1" / f"openapi-{document}.yaml")
        return self._documents[document]

    @cached_property
    def _documents(self) -> dict[str, Any]:
        return {}

    def wrong(self, message: Any, file: str, name: str) -> str | None:
        """What a message breaks in its schema, or None where it is valid.

        Args:
            message: Parsed JSON.
            file: Such as `state`.
            name: Such as `State`.
        """
        error = best_match(self._validator(file, name).iter_errors(message))
        if error is None:
            return None
        return f"{error.json_path}: {error.message[:300]}"

    def errors_in(self, message: Any, file: str, name: str) -> Iterable[ValidationError]:
        """Everything that a message breaks in its schema, to the innermost reasons."""
        for error in self._validator(file, name).iter_errors(message):
            yield from _innermost(error)

    def _validator(self, file: str, name: str) -> Validator:
        key = f"{SCHEMA_HOME}{file}.json#/$defs/{name}"
        if key not in self._validators:
            self._validators[key] = STRICT({"$ref": key}, registry=self._registry)
        return self._validators[key]

    @cached_property
    def _validators(self) -> dict[str, Validator]:
        return {}

    @cached_property
    def _files(self) -> Mapping[str, Any]:
        folder = self.folder / "schema" / "v1"
        return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}

    @cached_property
    def _registry(self) -> Registry[Any]:
        resources = [(schema["$id"], Resource.from_contents(schema)) for schema in self._files.values()]
        return Registry().with_resources(resources).crawl()


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=YAML)  # noqa: S506 - both are safe loaders


def _fits(template: str, path: str) -> bool:
    """Whether a path is one of a template such as `/modules/{id}`."""
    wanted, found = template.split("/"), path.split("/")
    pairs = zip(wanted, found, strict=False)
    return len(wanted) == len(found) and all(one == two or one.startswith("{") for one, two in pairs)


def _innermost(error: ValidationError) -> Iterable[ValidationError]:
    """Of `anyOf` and the like the reasons inside, where these are what a person has to know."""
    inside = best_match([error]) if error.context else error
    yield inside or error


def _requirement(row: Mapping[str, Any], sentence: str, candidate: frozenset[int | str]) -> Requirement:
    return Requirement(
        id=row["id"],
        chapter=row["chapter"],
        profiles=tuple(row["profiles"]),
        extended=row["class"] == "extended",
        level=row["level"],
        check=row.get("check"),
        untestable=row.get("untestable"),
        candidate=bool(candidate & {row["chapter"], row["id"].split("-")[0]}),
        sentence=sentence,
    )


def _sentences(chapters: Iterable[Path]) -> dict[str, str]:
    """The words behind each id: from `- **[ID]**` to the end of its list item."""
    found: dict[str, str] = {}
    for chapter in chapters:
        current: str | None = None
        for line in chapter.read_text().splitlines():
            if line.startswith("- **["):
                current, _, words = line.removeprefix("- **[").partition("]**")
                found[current] = words.strip()
            elif current is not None and line.startswith("  "):
                found[current] += " " + line.strip()
            else:
                current = None
    return found
