"""The chapters: every demand has an id, a reason and a row; every message and number in them is right."""

from __future__ import annotations

import base64
import functools
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tools import schemas

import ores.model
from ores.link.identity import check_certificate, id_of, new_identity
from ores.link.pairing import code_of, proof, secret_of
from ores.model import Element
from ores.module.description import check_elements

SPEC = schemas.STANDARD / "spec"
CHAPTERS = sorted(SPEC.glob("[0-9][0-9]-*.md"))
REGISTRY = schemas.STANDARD / "registry"
TABLE: dict[str, Any] = yaml.safe_load((REGISTRY / "requirements.yaml").read_text())
ROWS: list[dict[str, Any]] = TABLE["requirements"]
PROFILES = {row["name"]: row for row in yaml.safe_load((REGISTRY / "profiles.yaml").read_text())}
ERRORS = {row["code"] for row in yaml.safe_load((REGISTRY / "errors.yaml").read_text())}

UNTESTABLE_MAX = 0.15
ID = r"[A-Z]+-[0-9]{3}"
DEMAND = re.compile(rf"^(?:- )?\*\*\[({ID})\]\*\* (.+?)(?=\n\n|\n- |\n\||\n#|\Z)", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEYWORD = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
SYNONYM = re.compile(r"\b(SHALL|REQUIRED|RECOMMENDED|OPTIONAL)\b")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


class Demand(NamedTuple):
    id: str
    chapter: int
    sentence: str
    reason: str


class Block(NamedTuple):
    where: str
    info: str
    text: str


def prose(text: str) -> str:
    """Without fenced blocks and code spans: what a person reads as sentences."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def demands_of(text: str, chapter: int) -> list[Demand]:
    found = []
    for match in DEMAND.finditer(FENCE.sub("", text)):
        sentence, _, reason = " ".join(match[2].split()).partition(" *Why:* ")
        found.append(Demand(match[1], chapter, sentence, reason))
    return found


def number(path: Path) -> int:
    return int(path.name[:2])


def keywords(sentence: str) -> list[str]:
    return KEYWORD.findall(re.sub(r"`[^`]*`", "", sentence))


DEMANDS = [one for path in CHAPTERS for one in demands_of(path.read_text(), number(path))]
BLOCKS = [
    Block(f"{path.name}:{path.read_text()[: match.start()].count(chr(10)) + 1}", match[1], match[2])
    for path in CHAPTERS
    for match in FENCE.finditer(path.read_text())
]
JSON_BLOCKS = [block for block in BLOCKS if block.info.startswith("json")]
VECTORS = [block for block in BLOCKS if block.info == "vectors"]


# ---- demands and their rows ------------------------------------------------------------------------------


def test_there_are_chapters_and_demands() -> None:
    assert {number(path) for path in CHAPTERS} >= {1, 2, 3, 4}
    assert len(DEMANDS) > 100


def test_each_demand_stands_once() -> None:
    assert [name for name, times in Counter(one.id for one in DEMANDS).items() if times > 1] == []
    assert [text for text, times in Counter(one.sentence for one in DEMANDS).items() if times > 1] == []


def test_each_demand_has_one_row_and_each_row_its_demand() -> None:
    assert [(row["id"], row["chapter"]) for row in ROWS] == [(one.id, one.chapter) for one in DEMANDS]


@pytest.mark.parametrize("one", DEMANDS, ids=[one.id for one in DEMANDS])
def test_a_demand_is_one_sentence_with_one_keyword_and_a_reason(one: Demand) -> None:
    assert len(keywords(one.sentence)) == 1
    assert one.sentence.endswith("."), "one sentence, then its *Why:*"
    assert not re.search(r"\.\s+[A-Z]", one.sentence.replace("e.g. ", "")), "a second sentence has no id"
    assert one.reason.endswith((".", "?")), "no requirement without a reason"
    assert not keywords(one.reason), "a reason demands nothing"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_keyword_stands_outside_a_demand(path: Path) -> None:
    text = FENCE.sub("", path.read_text())
    assert KEYWORD.findall(prose(DEMAND.sub("", text))) == []
    assert SYNONYM.findall(prose(text)) == []


def test_every_id_that_is_mentioned_exists() -> None:
    known = {one.id for one in DEMANDS}
    for path in CHAPTERS:
        assert set(re.findall(rf"\[({ID})\]", path.read_text())) <= known, path.name


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_a_row_agrees_with_its_sentence(row: dict[str, Any]) -> None:
    sentence = next(one.sentence for one in DEMANDS if one.id == row["id"])
    assert row["level"] == keywords(sentence)[0].removesuffix(" NOT")
    assert row["class"] in {"core", "extended"}
    assert row["profiles"]
    assert set(row["profiles"]) <= {"module", "hub", "cloud", *PROFILES}
    told = {"id", "chapter", "profiles", "class", "level", "since"}
    assert row.keys() - told in ({"check"}, {"untestable"})
    if "check" in row:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["check"])
    else:
        assert row["untestable"] in TABLE["reasons"]


def test_a_check_belongs_to_one_class_and_chapter_area() -> None:
    """A name used twice must be meant twice: same area, same class."""
    seen: dict[str, tuple[str, str]] = {}
    for row in ROWS:
        if "check" in row:
            place = (row["id"].split("-")[0], row["class"])
            assert seen.setdefault(row["check"], place) == place, row["id"]


def test_few_demands_cannot_be_tested() -> None:
    musts = [row for row in ROWS if row["level"] == "MUST"]
    assert sum("untestable" in row for row in musts) <= UNTESTABLE_MAX * len(musts)


def test_every_reason_is_used() -> None:
    assert {row["untestable"] for row in ROWS if "untestable" in row} == set(TABLE["reasons"])


def test_the_finder_of_demands_finds_what_is_wrong() -> None:
    """The checks above could pass on nothing: here they meet faults."""
    text = "**[X-001]** A module MUST hum. *Why:* It is a joy.\n\nIt MUST not stop. `MUST` is a word.\n"
    [one] = demands_of(text, 1)
    assert (one.id, one.sentence, one.reason) == ("X-001", "A module MUST hum.", "It is a joy.")
    assert KEYWORD.findall(prose(DEMAND.sub("", text))) == ["MUST"]
    assert demands_of("- **[X-002]** It SHOULD hum.\n- **[X-003]** It MAY stop. *Why:* So.\n", 1) == [
        Demand("X-002", 1, "It SHOULD hum.", ""),
        Demand("X-003", 1, "It MAY stop.", "So."),
    ]


# ---- messages in the text --------------------------------------------------------------------------------


@pytest.mark.parametrize("block", JSON_BLOCKS, ids=[block.where for block in JSON_BLOCKS])
def test_a_message_in_the_text_is_what_it_says(block: Block) -> None:
    shape = re.fullmatch(r"json ([A-Z][A-Za-z]+)(?: invalid (\$[^\s:]*): (.+))?", block.info)
    assert shape, "a block of JSON names its message, and where it is invalid the field and the reason"
    name, field, _reason = shape.groups()
    value = schemas.read(block.text.encode())
    errors = list(schemas.validator(name).iter_errors(value))
    if field is None:
        assert [f"{error.json_path}: {error.message}" for error in errors] == []
        message = msgspec.convert(value, getattr(ores.model, name))
        known = {key: one for key, one in value.items() if not key.startswith("x-")}  # EXT-001
        assert msgspec.to_builtins(message) == known, "a field that nobody knows, perhaps misspelt"
        return
    [error] = errors
    if error.validator in {"required", "additionalProperties"}:
        assert field.rpartition(".")[0] == error.json_path
        assert field.rpartition(".")[2] in error.message
    else:
        assert field == error.json_path


DESCRIPTIONS = [
    schemas.read(block.text.encode()) for block in JSON_BLOCKS if block.info == "json Description"
]


@pytest.mark.parametrize("described", DESCRIPTIONS, ids=[one["name"] for one in DESCRIPTIONS])
def test_a_worked_composition_makes_sense(described: dict[str, Any]) -> None:
    """The reference module's own check takes it; what goes on to a further page cannot be complete."""
    elements = msgspec.convert(described["elements"], list[Element])
    check_elements(elements)
    if "next" not in described:
        assert described["element_count"] == len(elements)
    assert len(msgspec.json.encode(described)) <= 4096


@pytest.mark.parametrize("described", DESCRIPTIONS, ids=[one["name"] for one in DESCRIPTIONS])
def test_a_worked_composition_has_the_core_of_its_profiles(described: dict[str, Any]) -> None:
    for profile in described["profiles"]:
        for kind, core in PROFILES[profile]["core"].items():
            able = [set(one["capabilities"]) for one in described["elements"] if one["kind"] == kind]
            assert any(set(core) <= one for one in able), f"{profile}: no {kind} with {core}"


def test_the_worked_compositions_are_those_that_the_design_names() -> None:
    profiles = {profile for one in DESCRIPTIONS for profile in one["profiles"]}
    assert profiles >= {"hybrid", "gateway", "smart_panel", "plugin_solar", "portable_power_station"}
    assert profiles >= {"ev_charger", "heat_pump", "storage"}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_fence_is_closed_and_of_a_known_kind(path: Path) -> None:
    text = path.read_text()
    assert len(re.findall(r"(?m)^```", text)) == 2 * len(FENCE.findall(text))
    kinds = {info.partition(" ")[0] for info, _ in FENCE.findall(text)}
    assert kinds <= {"", "json", "mermaid", "vectors"}


# ---- links and names -------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """Anchors of headings as GitHub and most renderers make them."""
    heads = re.findall(r"(?m)^#+ (.+)$", FENCE.sub("", path.read_text()))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", [*CHAPTERS, SPEC / "README.md"], ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if target.startswith("https://"):
            continue
        where, _, anchor = target.partition("#")
        file = (path.parent / where).resolve() if where else path
        assert file.exists(), target
        assert file.is_relative_to(schemas.STANDARD), "the folder stands alone"
        if anchor:
            assert anchor in anchors(file), target


def test_the_chapters_are_listed() -> None:
    listed = LINK.findall((SPEC / "README.md").read_text())
    assert {path.name for path in CHAPTERS} <= set(listed)


@pytest.mark.parametrize("one", DEMANDS, ids=[one.id for one in DEMANDS])
def test_codes_named_after_with_are_in_the_registry(one: Demand) -> None:
    named = re.findall(r", with `([a-z]+(?:_[a-z]+)+)`", one.sentence)
    assert set(named) <= ERRORS


def test_every_transition_of_a_tie_that_is_drawn_is_in_the_table() -> None:
    text = (SPEC / "02-architecture.md").read_text()
    section = text[text.index("## 2.5") :]
    drawn = set(re.findall(r"(?m)^    (\w+) --> (\w+):", section))
    told = set(re.findall(r"(?m)^\| `(\w+)` \| `(\w+)` \|", section[section.index("| from | to |") :]))
    assert drawn == told
    assert {state for pair in drawn for state in pair} == set(
        schemas.files()["state"]["$defs"]["Isolate"]["properties"]["island_state"]["x-known"]
    )


# ---- pairing, recomputed ---------------------------------------------------------------------------------


def vectors(which: int) -> dict[str, str]:
    """The named values of a block; the second inherits from the first."""
    values: dict[str, str] = {}
    for block in VECTORS[: which + 1]:
        values |= dict(line.split(" = ") for line in block.text.splitlines())
    return values


@functools.cache
def spki(private: str) -> bytes:
    certificate = x509.load_der_x509_certificate(new_identity(int(private, 16)).certificate)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("side", ["module", "hub"])
def test_identities_of_the_worked_example_follow_from_their_keys(side: str) -> None:
    told = vectors(0)
    assert spki(told[f"{side}_private"]).hex() == told[f"{side}_spki"]
    assert sha256(bytes.fromhex(told[f"{side}_spki"])).hexdigest() == told[f"{side}_fingerprint"]
    assert id_of(told[f"{side}_fingerprint"]) == told[f"{side}_id"]


def test_the_code_of_the_worked_example_is_that_of_its_secret() -> None:
    told = vectors(0)
    assert code_of(bytes.fromhex(told["secret"])) == told["code"]
    assert secret_of(told["code"]).hex() == told["secret"]


def test_the_check_symbols_follow_from_the_formula_in_the_text() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    symbols = vectors(0)["code"].removeprefix("ORES-").replace("-", "")
    total = sum(at * alphabet.index(symbol) for at, symbol in enumerate(symbols[:26], 1)) % 1021
    assert symbols[26:] == alphabet[total // 32] + alphabet[total % 32]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("side", ["module", "hub"])
def test_the_proofs_of_the_worked_example_recompute(which: int, side: Literal["module", "hub"]) -> None:
    told = vectors(which)
    assert told[f"{side}_proof"] == proof(
        bytes.fromhex(told["secret"]),
        side,
        module_fingerprint=told["module_fingerprint"],
        hub_fingerprint=told["hub_fingerprint"],
        hub_nonce=told["hub_nonce"],
        module_nonce=told["module_nonce"],
        role=told["role"],
    )


@pytest.mark.parametrize("side", ["module", "hub"])
def test_the_bytes_under_a_proof_lie_where_the_table_says(side: str) -> None:
    told = vectors(0)
    text = (SPEC / "04-module-protocol.md").read_text()
    table = re.findall(r"(?m)^\| (\d+) \| (\d+) \| (?:\d+ or )?(\d+)(?: or \d+)? \|", text)
    starts = [int(row[0 if side == "module" else 1]) for row in table]
    message = bytes.fromhex(told[f"{side}_message"])
    parts = [message[a:b] for a, b in zip(starts, [*starts[1:], len(message)], strict=True)]
    assert parts == [
        f"ORES-PAIRING-1 {side}".encode(),
        b"\0",
        bytes.fromhex(told["module_fingerprint"]),
        bytes.fromhex(told["hub_fingerprint"]),
        bytes.fromhex(told["hub_nonce"]),
        bytes.fromhex(told["module_nonce"]),
        told["role"].encode(),
    ]


def test_the_messages_of_the_worked_example_carry_its_values() -> None:
    told = vectors(0)
    said = {block.info: schemas.read(block.text.encode()) for block in JSON_BLOCKS if "Pairing" in block.info}
    certificate = base64.b64decode(said["json PairingStart"]["hub_certificate"])
    assert check_certificate(certificate) == told["hub_fingerprint"]
    assert said["json PairingStart"]["hub_nonce"] == told["hub_nonce"]
    assert said["json PairingStart"]["role"] == told["role"]
    assert said["json PairingChallenge"] == {key: told[key] for key in ("module_nonce", "module_proof")}
    assert said["json PairingConfirm"] == {key: told[key] for key in ("hub_nonce", "hub_proof")}
    assert said["json PairingResult"] == {"role": told["role"], "module_id": told["module_id"]}
