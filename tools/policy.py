"""Refuse what would break who relies on the last release of the standard.

python -m tools.policy           compare the folder `standard` with the last tag `standard-v*`
python -m tools.policy --since standard-v1.0

Within a major version a report may gain optional fields, an open list may gain words, a command may gain
optional fields and take more; nothing is taken away, narrows or changes its meaning (chapter 12). Candidates
are not held to this. A row of `registry/errata.yaml` lets a mended sentence or meaning through.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.demands import Files, carried, interfaces, normative, released, schemas, sentences

ROOT = Path(__file__).resolve().parents[1]
TAGS = "standard-v*"
KEPT = {".json", ".yaml", ".md"}

_BOUNDS = (
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
)  # fmt: skip
Definitions = dict[str, dict[str, Any]]
Node = tuple[dict[str, Any], str]
"""A schema and the file it stands in."""


class NoRelease(Exception):
    """There is nothing to compare with; says why."""


def breaks(before: Files, after: Files) -> list[str]:
    """One sentence for each change that a minor version must not make."""
    mended = _mended(after)
    return [
        *_schemas(before, after),
        *_interfaces(before, after),
        *_requirements(before, after, mended),
        *_words(before, after, mended),
        *_profiles(before, after),
        *_frozen(before, after),
    ]


# ---- schemas ---------------------------------------------------------------------------------------------


def _schemas(before: Files, after: Files) -> Iterator[str]:
    old, new = schemas(before), schemas(after)
    for stem, schema in old.items():
        if schema.get("x-candidate"):
            continue
        if new.get(stem, {}).get("x-candidate"):
            yield f"{stem}.json: what is released cannot become a candidate again"
        defined = new.get(stem, {}).get("$defs", {})
        for name, node in schema["$defs"].items():
            if node.get("x-candidate"):
                continue
            if name not in defined:
                yield f"{stem}.json {name}: removed, renamed or moved"
                continue
            one = normative(node)
            pair = _Pair(old, new, closed=one.get("additionalProperties") is False)
            yield from pair.differences(name, (one, stem), (normative(defined[name]), stem))


class _Pair:
    """The schemas before and after; `closed`: a command is compared, and who reads it refuses the unknown."""

    def __init__(self, old: Definitions, new: Definitions, *, closed: bool) -> None:
        self._old, self._new, self._closed = old, new, closed

    def differences(self, place: str, old: Node, new: Node) -> Iterator[str]:
        """Between two schemas, each with the file it stands in."""
        (old_target, old_home), (new_target, new_home) = _target(old, self._old), _target(new, self._new)
        if isinstance(old_target, str) or isinstance(new_target, str):
            if old_target != new_target:
                yield f"{place}: was a {_named(old_target)}, is a {_named(new_target)}"
            return
        yield from self._kind(place, old_target, new_target)
        yield from self._range(place, old_target, new_target)
        yield from self._list(place, old_target, new_target)
        yield from self._fields(place, (old_target, old_home), (new_target, new_home))
        for key in ("items", "additionalProperties", "propertyNames"):
            was, now = old_target.get(key), new_target.get(key)
            if isinstance(was, dict) and isinstance(now, dict):
                yield from self.differences(f"{place}.{key}", (was, old_home), (now, new_home))

    def _kind(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        was, now = _types(old), _types(new)
        if was - now:
            yield f"{place}: can no longer be {', '.join(sorted(was - now))}"
        if now - was and not self._closed:
            yield f"{place}: can now be {', '.join(sorted(now - was))}, which nobody expects"
        for key in ("x-unit", "pattern", "const", "format"):
            if old.get(key) != new.get(key):
                yield f"{place}: {key} was {old.get(key)}, is {new.get(key)}"
        flags = [node.get("additionalProperties", True) is False for node in (old, new)]
        if "object" in was and flags[0] != flags[1]:
            yield f"{place}: unknown fields were {_taken(flags[0])}, are {_taken(flags[1])}"

    def _range(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        for what in _BOUNDS:
            was, now = _bound(old, what), _bound(new, what)
            if now > was:
                yield f"{place}: {what} is narrower than it was"
            elif now < was and not self._closed:
                yield f"{place}: {what} is wider than it was, and who reads it refuses what is outside"

    def _list(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        lost = [word for word in old.get("x-known", []) if word not in new.get("x-known", [])]
        if lost:
            yield f"{place}: the known word {', '.join(map(str, lost))} is gone"
        was, now = old.get("enum"), new.get("enum")
        if was is None and now is None:
            return
        if was is None:
            yield f"{place}: is now one of {now}"
        elif now is None:
            if not self._closed:
                yield f"{place}: was one of {was}, and is now open"
        else:
            if gone := [value for value in was if value not in now]:
                yield f"{place}: {gone} is no longer allowed"
            if (more := [value for value in now if value not in was]) and not self._closed:
                yield f"{place}: can now be {more}, which nobody expects"

    def _fields(self, place: str, old: Node, new: Node) -> Iterator[str]:
        was, now = old[0].get("properties", {}), new[0].get("properties", {})
        for name in was:
            if name not in now:
                if not _is_candidate(was[name], self._old, old[1]):
                    yield f"{place}.{name}: removed or renamed"
            else:
                yield from self.differences(f"{place}.{name}", (was[name], old[1]), (now[name], new[1]))
        demanded, demands = set(old[0].get("required", [])), set(new[0].get("required", []))
        for name in sorted(demands - demanded):
            yield f"{place}.{name}: is now required"
        for name in sorted((demanded - demands) & now.keys()):
            if not self._closed:
                yield f"{place}.{name}: was always there, and need not be any more"


def _is_candidate(schema: dict[str, Any], files: Definitions, home: str) -> bool:
    file, _, name = schema.get("$ref", "").partition("#/$defs/")
    found = files.get(file.removesuffix(".json") or home, {}).get("$defs", {}).get(name, {})
    return found.get("x-candidate") is True


def _target(node: Node, files: Definitions) -> tuple[dict[str, Any] | str, str]:
    """What a schema refers to, a message by its name, and the file it stands in."""
    schema, home = node
    own = {key: value for key, value in schema.items() if key != "$ref"}
    while "$ref" in schema:
        file, _, name = schema["$ref"].partition("#/$defs/")
        home = file.removesuffix(".json") or home
        schema = normative(files.get(home, {}).get("$defs", {}).get(name, {}))
        if not schema or schema.get("type") == "object":
            return name, home
    return {**schema, **own}, home


def _types(node: dict[str, Any]) -> set[str]:
    kinds = node.get("type", [])
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _bound(node: dict[str, Any], key: str) -> tuple[float, bool]:
    """A bound as a pair that is larger where it is narrower."""
    sign = -1 if key.startswith("max") else 1
    strict = f"exclusive{key.capitalize()}"
    value = node.get(strict, node.get(key))
    return (float("-inf") if value is None else sign * float(value), strict in node)


def _named(target: dict[str, Any] | str) -> str:
    return target if isinstance(target, str) else "value"


def _taken(closed: bool) -> str:
    return "refused" if closed else "ignored"


# ---- interfaces ------------------------------------------------------------------------------------------


def _interfaces(before: Files, after: Files) -> Iterator[str]:
    old, new = interfaces(before), interfaces(after)
    for name, document in old.items():
        if name not in new:
            yield f"{name}: removed, or made a candidate"
            continue
        was, now = _asked(document), _asked(new[name])
        for what, operation in was.items():
            if what not in now:
                yield f"{name} {what}: removed or renamed"
            else:
                yield from _operation(f"{name} {what}", operation, now[what])


def _asked(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if "channels" in document:
        return {
            key: {"parameters": [], "body": {}, "answers": [one["action"], one["channel"], one["messages"]]}
            for key, one in document["operations"].items()
        }
    return {
        f"{method.upper()} {path}": carried(operation, document)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "responses" in operation
    }


def _operation(place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for part, what in (("body", "takes"), ("answers", "gives")):
        if old[part] != new[part]:
            yield f"{place}: {what} something else than it did"
    was, now = ({one[0]: one for one in each["parameters"]} for each in (old, new))
    for name, parameter in was.items():
        if name not in now:
            yield f"{place}: the parameter {name} is gone"
        elif parameter != now[name]:
            yield f"{place}: the parameter {name} has changed"
    for name, parameter in now.items():
        if name not in was and parameter[2]:
            yield f"{place}: the parameter {name} is now required"


# ---- registry --------------------------------------------------------------------------------------------


def _requirements(before: Files, after: Files, mended: set[str]) -> Iterator[str]:
    old, new = (yaml.safe_load(files["registry/requirements.yaml"]) for files in (before, after))
    if back := [str(one) for one in new["candidate"] if one not in old["candidate"]]:
        yield f"requirements of {', '.join(back)}: what is released cannot become a candidate again"
    was, now = {row["id"]: row for row in released(old)}, {row["id"]: row for row in new["requirements"]}
    freed = {row["id"] for row in released(new)}
    said, says = sentences(before), sentences(after)
    for name, row in was.items():
        if name not in now:
            yield f"{name}: removed"
            continue
        for key in ("level", "class", "profiles"):
            if row[key] != now[name][key]:
                yield f"{name}: {key} was {row[key]}, is {now[name][key]}"
        if said.get(name) != says.get(name) and name not in mended:
            yield f"{name}: says something else, and registry/errata.yaml does not mention it"
    for name, row in now.items():
        if name not in was and name in freed and "since" not in row:
            yield f"{name}: a demand added to a release; say by `since` which later one it belongs to"


def _words(before: Files, after: Files, mended: set[str]) -> Iterator[str]:
    for file, key, what in (
        ("errors", "code", "error"),
        ("capabilities", "name", "capability"),
        ("policies", "name", "policy"),
    ):
        was, now = (
            {row[key]: row for row in yaml.safe_load(files[f"registry/{file}.yaml"])}
            for files in (before, after)
        )
        for name, row in was.items():
            if row.get("candidate"):
                continue
            word = f"{what}:{name}"
            if name not in now:
                yield f"{word}: removed or renamed"
                continue
            for field in ("status", "meaning"):
                if row.get(field) != now[name].get(field) and word not in mended:
                    yield f"{word}: its {field} has changed, and registry/errata.yaml does not mention it"
            for field in ("commands", "requests"):
                if lost := [one for one in row.get(field, []) if one not in now[name].get(field, [])]:
                    yield f"{word}: lost {', '.join(lost)} of its {field}"


def _profiles(before: Files, after: Files) -> Iterator[str]:
    was, now = (
        {row["name"]: row for row in yaml.safe_load(files["registry/profiles.yaml"])}
        for files in (before, after)
    )
    for name, row in was.items():
        if row.get("candidate"):
            continue
        if name not in now or now[name].get("candidate"):
            yield f"profile {name}: removed, renamed, or made a candidate"
            continue
        if row["core"] != now[name]["core"]:
            yield f"profile {name}: its core has changed; buyers and makers rely on it"
        for kind, capabilities in row["extended"].items():
            if lost := [one for one in capabilities if one not in now[name]["extended"].get(kind, [])]:
                yield f"profile {name}: lost {', '.join(lost)} of {kind}"


def _frozen(before: Files, after: Files) -> Iterator[str]:
    for path, text in before.items():
        if not path.startswith("conformance/v"):
            continue
        old = yaml.safe_load(text)
        if old["status"] != "frozen":
            yield f"{path}: was released without `status: frozen`"
        elif path not in after:
            yield f"{path}: removed"
        elif (new := yaml.safe_load(after[path])) != old:
            keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            yield f"{path}: is frozen, and differs in {', '.join(keys)}"


def _mended(files: Files) -> set[str]:
    rows = yaml.safe_load(files.get("registry/errata.yaml", "[]")) or []
    return {touched for row in rows for touched in row["touches"]}


# ---- files -----------------------------------------------------------------------------------------------


def on_disk(standard: Path) -> dict[str, str]:
    """The text files that are there now."""
    return {
        path.relative_to(standard).as_posix(): path.read_text()
        for path in sorted(standard.rglob("*"))
        if path.suffix in KEPT
    }


def at(tag: str, root: Path = ROOT) -> dict[str, str]:
    """The text files as they were at a tag.

    Raises:
        NoRelease: git does not know it.
    """
    tar = _git(root, "archive", "--format=tar", tag, "standard")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            if Path(member.name).suffix in KEPT and (file := archive.extractfile(member)):
                found[member.name.removeprefix("standard/")] = file.read().decode()
    return found


def last_release(root: Path = ROOT) -> str:
    """The last tag `standard-v*` before or at this commit.

    Raises:
        NoRelease: There is none, or no git.
    """
    return _git(root, "describe", "--tags", "--abbrev=0", "--match", TAGS).decode().strip()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise NoRelease("git is not installed") from None
    if done.returncode:
        raise NoRelease(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
    return done.stdout


def main() -> int:
    """Exit 1 with one line for each broken promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--since", metavar="TAG", help=f"compare with this tag instead of the last {TAGS}")
    arguments = parser.parse_args()
    try:
        tag = arguments.since or last_release()
        before = at(tag)
    except NoRelease as why:
        if arguments.since:
            print(f"cannot compare with {arguments.since}: {why}", file=sys.stderr)
            return 1
        print(f"policy: SKIPPED, there is no release to compare with ({why})", file=sys.stderr)
        return 0
    found = breaks(before, on_disk(ROOT / "standard"))
    for one in found:
        print(f"{one} (since {tag})", file=sys.stderr)
    print(f"policy: {len(found) or 'no'} breaking changes since {tag}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
