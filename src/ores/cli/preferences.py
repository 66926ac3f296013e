"""Preferences as a person types them: NAME=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Literal, get_args, get_origin

import msgspec

from ores.link.errors import ConfigError
from ores.model import Preferences

_WORDS = {"on": True, "yes": True, "no": False}
"""`off` is also a mode of the charger, so it stays a word where the field takes one."""


def changed(preferences: Preferences, changes: Sequence[str]) -> Preferences:
    """The preferences with changes as typed; `NAME=` removes an optional one.

    Raises:
        ConfigError: Names the preference, what was typed, and what is allowed.
    """
    fields = {field.name: field for field in msgspec.structs.fields(Preferences)}
    values = msgspec.to_builtins(preferences)
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or name not in fields:
            known = ", ".join(fields)
            raise ConfigError("preference", found=change, allowed=f"NAME=VALUE with NAME one of {known}")
        if text:
            values[name] = _parsed(name, text, fields[name].type)
        else:
            values.pop(name, None)
    try:
        return msgspec.convert(values, Preferences)
    except msgspec.ValidationError as error:
        raise ConfigError("preferences", found=" ".join(changes), allowed=str(error)) from error


def _parsed(name: str, text: str, kind: object) -> object:
    """What was typed as the field takes it: a JSON value, a word, or on and off."""
    candidates: list[object] = [text, _WORDS.get(text, text == "on")]
    with suppress(msgspec.DecodeError):  # no JSON value: a word needs no quotes
        candidates.insert(0, msgspec.json.decode(text))
    refused = ""
    for candidate in candidates:
        try:
            return msgspec.convert(candidate, kind)
        except msgspec.ValidationError as error:
            refused = refused or str(error)
    words = _words_of(kind)
    raise ConfigError(name, found=text, allowed=f"one of {', '.join(words)}" if words else refused)


def _words_of(kind: object) -> list[str]:
    """The words that a field takes, where it takes nothing else."""
    if get_origin(kind) is Annotated:
        return _words_of(get_args(kind)[0])
    return [word for word in get_args(kind) if isinstance(word, str)] if get_origin(kind) is Literal else []
