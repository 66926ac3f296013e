"""jsonschema reads the standard as written, msgspec as generated: they must take the same messages."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from tools import schemas

import ores.model
from ores.link import codec
from ores.link.errors import InvalidMessage

SEED = 20250101
MESSAGES = schemas.messages()

# What JSON can say and Python's json.dumps cannot: put in as text, after dumping.
RAW = [
    "1e999", "-1e999", "1e-999", "1.0", "0.0", "1e0", "1E2", "-0", "-0.0", "NaN", "Infinity", "-Infinity",
    "01", "1.", ".5", "+1", "9" * 400, "9007199254740991", "9007199254740992", "18446744073709551616", "true",
    "false", "null", '"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00x"', '"\\u0000"', '"\t"', '"a', "[]", "{}",
    "[" * 70 + "]" * 70, "[" * 9 + "]" * 9,
    '{"a":1,"a":2}', "'a'", "", "1 2", "/* */1", "[1,]",
]  # fmt: skip

# One or two texts for each pattern of the standard; a new pattern fails here until it has some.
SAMPLES = {
    "^[a-z2-7]{26}$": ["abcdefghijklmnopqrstuvwxyz", "a2345672345672345672345672"],
    "^[a-z][a-z0-9_]{0,31}$": ["battery", "a", "z" * 32, "ac_port_1"],
    "^[a-z2-7]{26}/[a-z][a-z0-9_]{0,31}$": ["abcdefghijklmnopqrstuvwxyz/circuit_1"],
    "^[0-9a-f]{8,32}$": ["0123abcd", "f" * 32],
    "^(flow|[a-z2-7]{26}/[a-z][a-z0-9_]{0,31})(\\.[A-Za-z0-9_]{1,64}){1,6}$": [
        "flow.grid_w",
        "abcdefghijklmnopqrstuvwxyz/battery.storage.soc_pct",
    ],
    "^[a-z0-9]{8,32}$": ["f3a9c1d2", "z" * 32],
    "^[A-Za-z0-9_.~+/=-]{22,256}$": ["ores_" + "aZ9-" * 5, "~" * 256],
    "^[0-9a-f]{64}$": ["0f" * 32],
    "^[0-9]{1,3}\\.[0-9]{1,3}$": ["1.0", "12.345"],
    "^[A-Za-z0-9+/]+={0,2}$": ["MII+/" * 40, "A" * 126 + "=="],
    "^[A-Za-z0-9_-]{1,64}$": ["evening-7", "a", "_" * 64],
    "^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]{86}$": ["eyJ9.e30." + "a-_" * 28 + "AA"],
    "^https://[!-~]{1,500}$": ["https://cloud.example/ores/v1"],
    "^[A-Z]{3}$": ["EUR"],
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?Z$": [
        "2025-06-01T12:00:00Z",
        "2025-06-01T12:00:00.000001Z",
    ],
}
TEXTS = ["a", "grid", "L1", "ä", "\U0001f600", "e\u0301", " ", "applied", "\x00", '"\\/', "\n"]


def generated(schema: dict[str, Any], home: str, rng: random.Random) -> Any:
    """A value that the schema allows, often at the edge of what it allows."""
    schema, home = schemas.resolved(schema, home)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return GENERATORS[rng.choice(kinds)](schema, home, rng)


def generated_object(schema: dict[str, Any], home: str, rng: random.Random) -> dict[str, Any]:
    if isinstance(values := schema.get("additionalProperties"), dict):
        count = rng.randint(schema.get("minProperties", 0), 3)
        keys = [generated(schema["propertyNames"], home, rng) for _ in range(count)]
        return {key: generated(values, home, rng) for key in keys}
    share = rng.random()
    return {
        name: generated(field, home, rng)
        for name, field in schema.get("properties", {}).items()
        if name in schema.get("required", []) or rng.random() < share
    }


def generated_list(schema: dict[str, Any], home: str, rng: random.Random) -> list[Any]:
    low, high = schema.get("minItems", 0), min(schema["maxItems"], 3)
    return [generated(schema["items"], home, rng) for _ in range(rng.randint(low, high))]


def generated_text(schema: dict[str, Any], home: str, rng: random.Random) -> str:
    if pattern := schema.get("pattern"):
        return rng.choice(SAMPLES[pattern])
    low, high = schema.get("minLength", 0), schema["maxLength"]
    text = rng.choice([*TEXTS, "".join(rng.choices(string.printable, k=rng.randint(0, 12))), "ä" * high])
    return text[:high] if len(text) >= low else "a" * low


def generated_integer(schema: dict[str, Any], home: str, rng: random.Random) -> int:
    low, high = schema["minimum"], schema["maximum"]
    return rng.choice([low, high, rng.randint(low, high), rng.randint(low, min(high, low + 99))])


def generated_number(schema: dict[str, Any], home: str, rng: random.Random) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema["maximum"]
    found: float = rng.choice([low, high, int(high), 0, rng.uniform(low, high), rng.uniform(low, high)])
    allowed = found >= low and not (found == low and "exclusiveMinimum" in schema)
    return found if allowed else (low + high) / 2


GENERATORS: dict[str, Callable[[dict[str, Any], str, random.Random], Any]] = {
    "object": generated_object,
    "array": generated_list,
    "string": generated_text,
    "integer": generated_integer,
    "number": generated_number,
    "boolean": lambda schema, home, rng: rng.random() < 0.5,
    "null": lambda schema, home, rng: None,
}

Place = tuple[Any, Any]  # a container, and a key or an index in it


def places(value: Any) -> Iterator[Place]:
    """Every member of every object and list below."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, member in members:
        yield value, key
        yield from places(member)


def spoil(value: Any, rng: random.Random) -> Any:
    """Changes one thing in place, more often than not for the worse; returns the whole."""
    found = list(places(value))
    if not found or rng.random() < 0.05:
        return rng.choice([value, [value], None, {}, [], 0, "", {"unknown": value}])
    container, key = rng.choice(found)
    rng.choice(SPOILERS)(container, key, rng)
    return value


def _drop(container: Any, key: Any, rng: random.Random) -> None:
    del container[key]


def _retype(container: Any, key: Any, rng: random.Random) -> None:
    container[key] = rng.choice([None, True, 0, 1, -1, 0.5, "", "1", "true", [], {}, [1], {"a": 1}, "L1"])


def _rescale(container: Any, key: Any, rng: random.Random) -> None:
    if isinstance(container[key], int | float) and not isinstance(container[key], bool):
        container[key] *= rng.choice([-1, 1000, 1e6, 1e300, 0.5, 0, 1.0, 10**30])
        container[key] += rng.choice([0, 1, -1, 1e-9])
    else:
        _retype(container, key, rng)


def _unknown(container: Any, key: Any, rng: random.Random) -> None:
    if isinstance(container, dict):
        container[rng.choice(["unknown", "Power_W", "x-y", "", "a" * 40, "é", "type"])] = rng.choice(
            [1, None, {}, "a"]
        )
    else:
        container.append(rng.choice([None, 1, "a", {}]))


def _rename(container: Any, key: Any, rng: random.Random) -> None:
    if isinstance(container, dict):
        name = rng.choice(
            [key + "\n", key.upper(), key + "x", " " + key, key[:-1], "1" + key, key + key + key]
        )
        container[name] = container.pop(key)


def _text(container: Any, key: Any, rng: random.Random) -> None:
    text = container[key] if isinstance(container[key], str) else "a"
    container[key] = rng.choice(
        [text + "\n", "\n" + text, text.upper(), text * 40, text[:-1], "", "a" * 5000, "ä" * 64]
    )


def _many(container: Any, key: Any, rng: random.Random) -> None:
    """Too many, where lists and maps are short enough for it; 300 is above every bound on elements."""
    if isinstance(container, list):
        container.extend([container[key]] * rng.choice([1, 20, 300]))
    else:
        container.update({f"{key}{index}"[:32]: container[key] for index in range(rng.choice([1, 20, 300]))})


def _raw(container: Any, key: Any, rng: random.Random) -> None:
    container[key] = f"RAW{rng.randrange(len(RAW))}RAW"


def _whole(container: Any, key: Any, rng: random.Random) -> None:
    if isinstance(container[key], int):
        container[key] = float(min(container[key], 2**53))
    elif isinstance(container[key], float) and abs(container[key]) < 1e15:
        container[key] = int(container[key])


Spoiler = Callable[[Any, Any, random.Random], None]
SPOILERS: list[Spoiler] = [_drop, _retype, _rescale, _unknown, _rename, _text, _many, _raw, _raw, _whole]


def dumped(value: Any, rng: random.Random) -> bytes:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    for index, raw in enumerate(RAW):
        text = text.replace(f'"RAW{index}RAW"', raw)
    data = text.encode()
    if rng.random() < 0.02:  # broken on the way
        at = rng.randrange(len(data))
        data = (
            data[:at]
            + rng.choice([b"", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b",", b"0"])
            + data[at + 1 :]
        )
    return data


def candidates(name: str, rng: random.Random) -> Iterator[bytes]:
    home = schemas.homes()[name]
    schema = schemas.files()[home]["$defs"][name]
    while True:
        value = generated(schema, home, rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            value = spoil(value, rng)
        yield dumped(value, rng)


def msgspec_accepts(name: str, data: bytes) -> bool:
    try:
        codec.decode(getattr(ores.model, name), data)
    except InvalidMessage:
        return False
    return True


def disagreements(name: str, count: int, rng: random.Random) -> tuple[list[str], int]:
    """What one validator takes and the other refuses, and how many messages both took."""
    found, taken = [], 0
    for data, _ in zip(candidates(name, rng), range(count), strict=False):
        one, other = schemas.accepts(name, data), msgspec_accepts(name, data)
        taken += one and other
        if one != other:
            found.append(
                f"{name}: jsonschema {'takes' if one else 'refuses'}, msgspec does not: {data[:300]!r}"
            )
    return found, taken


def per_message(total: int) -> int:
    return -(-total // len(MESSAGES))


@pytest.mark.parametrize("name", MESSAGES)
def test_both_validators_take_the_same_messages(name: str) -> None:
    count = per_message(10_000)
    found, taken = disagreements(name, count, random.Random(f"{SEED} {name}"))
    assert not found, "\n".join(found[:5])
    assert count / 10 <= taken <= count * 0.95, "what is tried must be now right, now wrong"


@pytest.mark.long
@pytest.mark.parametrize("name", MESSAGES)
def test_both_validators_take_the_same_messages_for_long(name: str) -> None:
    found, _ = disagreements(name, per_message(100_000), random.Random(f"{SEED} long {name}"))
    assert not found, "\n".join(found[:5])


@pytest.mark.parametrize("rule", ["integer", "pattern"])
def test_the_comparison_finds_a_validator_without_the_standards_own_rules(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = schemas.validator("Lease")
    loose = {
        "integer": extend(type(strict), type_checker=Draft202012Validator.TYPE_CHECKER),
        "pattern": extend(type(strict), {"pattern": Draft202012Validator.VALIDATORS["pattern"]}),
    }[rule]
    looser = loose(strict.schema, registry=strict._registry)
    monkeypatch.setattr(schemas, "validator", lambda name: looser)
    found, _ = disagreements("Lease", 2000, random.Random(SEED))
    assert found


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_generated_without_spoiling_is_valid(name: str) -> None:
    rng = random.Random(f"{SEED} valid {name}")
    home = schemas.homes()[name]
    for _ in range(20):
        data = json.dumps(generated(schemas.files()[home]["$defs"][name], home, rng)).encode()
        assert schemas.accepts(name, data), data[:300]
        assert msgspec_accepts(name, data), data[:300]
