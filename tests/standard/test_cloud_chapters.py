"""Chapters 7 to 9, which are candidates: their head says so, and what they hold fits together."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from tools import schemas

SPEC = schemas.STANDARD / "spec"
REGISTRY = schemas.STANDARD / "registry"
TABLE: dict[str, Any] = yaml.safe_load((REGISTRY / "requirements.yaml").read_text())
PURPOSES: list[dict[str, Any]] = yaml.safe_load((REGISTRY / "purposes.yaml").read_text())
CLOUD: dict[str, Any] = schemas.files()["cloud"]["$defs"]
CONSENT_TEXT = (SPEC / "07-cloud-api.md").read_text()
SIGNED = sorted((schemas.STANDARD / "examples/valid/SignedDocument").glob("*.json"))
PAYLOADS = {"ores-consent+json": "Consent", "ores-report+json": "MeasurementReport"}


def head(path: Path) -> str:
    return path.read_text().partition("\n## ")[0]


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def hub_of_chapter_4() -> tuple[ec.EllipticCurvePublicKey, str]:
    """Public key and fingerprint of the hub in the worked example."""
    text = (SPEC / "04-module-protocol.md").read_text()
    spki, fingerprint = (re.search(rf"(?m)^hub_{what} = (\w+)$", text) for what in ("spki", "fingerprint"))
    assert spki
    assert fingerprint
    key = load_der_public_key(bytes.fromhex(spki[1]))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key, fingerprint[1]


def opened(jws: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload, once the signature has been checked as chapter 7 says."""
    key, fingerprint = hub_of_chapter_4()
    header, payload, signature = jws.split(".")
    said = schemas.read(decoded(header))
    assert said["alg"] == "ES256"
    assert said["kid"] == fingerprint
    raw = decoded(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(der, f"{header}.{payload}".encode(), ec.ECDSA(SHA256()))
    return said, schemas.read(decoded(payload))


# ---- candidates ------------------------------------------------------------------------------------------


def test_the_chapters_that_say_they_are_candidates_are_those_of_the_registry() -> None:
    said = {int(path.name[:2]) for path in SPEC.glob("[0-9]*.md") if "**Candidate.**" in head(path)}
    assert said == {one for one in TABLE["candidate"] if isinstance(one, int)}


def test_a_cloud_is_bound_by_candidates_only() -> None:
    """Nobody can claim conformance as a cloud yet."""
    bound = {row["chapter"] for row in TABLE["requirements"] if "cloud" in row["profiles"]}
    assert bound <= set(TABLE["candidate"])


@pytest.mark.parametrize("candidate", [True, False])
def test_few_demands_cannot_be_tested_in_candidates_and_without_them(candidate: bool) -> None:
    musts = [
        row
        for row in TABLE["requirements"]
        if row["level"] == "MUST" and (row["chapter"] in TABLE["candidate"]) == candidate
    ]
    assert sum("untestable" in row for row in musts) <= 0.15 * len(musts)


# ---- purposes --------------------------------------------------------------------------------------------


def test_the_purposes_and_items_of_the_registry_are_those_of_the_schema() -> None:
    assert [row["name"] for row in PURPOSES] == CLOUD["Purpose"]["enum"]
    assert {item for row in PURPOSES for item in row["items"]} == set(CLOUD["DataItem"]["enum"])


def test_every_item_is_a_field_of_telemetry_and_every_field_is_an_item() -> None:
    fields = set(CLOUD["TelemetryInterval"]["properties"]) - {"start", "duration_s", "quality"}
    assert fields == set(CLOUD["DataItem"]["enum"])


def test_the_table_of_purposes_in_the_text_says_what_the_registry_says() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \| (\d+) s \| (\w+) \|$", CONSENT_TEXT)
    assert [(row["name"], str(row["finest_s"]), row["level"]) for row in PURPOSES] == rows


def test_payloads_of_a_programme_are_fields_of_an_interval() -> None:
    fields = set(CLOUD["EventInterval"]["properties"]) - {"duration_s"}
    assert set(CLOUD["Programme"]["properties"]["payloads"]["x-known"]) == fields


def test_baselines_are_the_same_wherever_they_are_named() -> None:
    table = CONSENT_TEXT.partition("\n| `baseline` |")[2].partition("\n\n")[0]
    told = re.findall(r"(?m)^\| `(\w+)` \|", table)
    assert told == CLOUD["MeasurementReport"]["properties"]["baseline"]["enum"]
    assert told == CLOUD["Programme"]["properties"]["baseline"]["x-known"]


# ---- signed documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SIGNED, ids=[path.stem for path in SIGNED])
def test_a_signed_example_is_signed_by_its_hub_and_holds_a_valid_message(path: Path) -> None:
    said, payload = opened(schemas.read(path.read_bytes())["jws"])
    schemas.validator(PAYLOADS[said["typ"]]).validate(payload)


def test_the_consent_of_the_text_is_what_its_signed_form_holds() -> None:
    blocks = dict(re.findall(r"(?ms)^```json (Consent|SignedDocument)\n(.*?)^```$", CONSENT_TEXT))
    _, payload = opened(schemas.read(blocks["SignedDocument"].encode())["jws"])
    assert payload == schemas.read(blocks["Consent"].encode())


def test_a_consent_that_was_changed_does_not_open() -> None:
    header, payload, signature = schemas.read(SIGNED[0].read_bytes())["jws"].split(".")
    changed = decoded(payload).replace(b'"version":1', b'"version":9')
    assert changed != decoded(payload)
    forged = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
    with pytest.raises(InvalidSignature):
        opened(f"{header}.{forged}.{signature}")
