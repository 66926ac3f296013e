"""A key is an identity: made once, kept whole, never lost silently."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cryptography import x509

from ores.link.errors import ConfigError
from ores.link.identity import (
    Identity,
    check_certificate,
    id_of,
    load_or_create,
    new_identity,
    next_epoch,
    spki_fingerprint,
    write_private_file,
)
from ores.link.pins import Pins, pin


def test_an_identity_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "hub")
    assert load_or_create(tmp_path / "hub") == first
    assert (tmp_path / "hub").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "hub").iterdir()} == {0o600}


def test_the_id_derives_from_the_key() -> None:
    one, two = new_identity(), new_identity()
    assert one.id == id_of(spki_fingerprint(one.certificate)) != two.id
    assert len(one.id) == 26
    assert set(one.id) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_a_certificate_is_small_and_distinct() -> None:
    one, two = (x509.load_der_x509_certificate(new_identity().certificate) for _ in range(2))
    assert len(new_identity().certificate) <= 1024
    assert one.subject != two.subject
    keys = [c.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value for c in (one, two)]
    assert keys[0] != keys[1]
    assert one.not_valid_after_utc.year == 9999


def test_a_key_does_not_end_up_in_a_log() -> None:
    identity = new_identity()
    assert "PRIVATE" not in f"{identity} {identity!r} {[identity]}"


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_named_and_left_alone(tmp_path: Path, damage: bytes) -> None:
    load_or_create(tmp_path)
    path = tmp_path / "identity.pem"
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match=r"identity\.pem.*backup"):
        load_or_create(tmp_path)
    assert path.read_bytes() == damage


def test_a_key_with_another_ones_certificate_is_refused(tmp_path: Path) -> None:
    one, two = new_identity(), new_identity()
    write_private_file(
        tmp_path / "identity.pem",
        one.pem.split(b"-----BEGIN CERT")[0] + two.pem[two.pem.index(b"-----BEGIN CERT") :],
    )
    with pytest.raises(ConfigError, match="do not match"):
        load_or_create(tmp_path)


def test_a_lost_key_is_not_replaced_silently(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    next_epoch(tmp_path)
    (tmp_path / "identity.pem").unlink()
    with pytest.raises(ConfigError, match="in use"):
        load_or_create(tmp_path)


def test_a_crash_between_the_two_files_of_a_first_start_costs_nothing(tmp_path: Path) -> None:
    write_private_file(tmp_path / "epoch", b"0\n")
    assert isinstance(load_or_create(tmp_path), Identity)
    assert next_epoch(tmp_path) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    (tmp_path / "identity.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_create(tmp_path)


def test_the_epoch_rises_with_each_start(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    assert [next_epoch(tmp_path) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"seven", b"-1", b"9" * 30, b"\xff"])
def test_a_damaged_epoch_is_named(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "epoch").write_bytes(damage)
    with pytest.raises(ConfigError, match=r"epoch.*above the last epoch"):
        next_epoch(tmp_path)


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private_file(tmp_path / "f", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_private_file(tmp_path / "f", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [(b"nonsense", "not a self-signed"), (b"\0" * 2000, "at most 1024")],
)
def test_what_cannot_be_pinned_is_told_why(certificate: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_certificate(certificate)


def test_pins_survive_a_restart_and_notice_damage(tmp_path: Path) -> None:
    path, hub = tmp_path / "pins.json", pin(new_identity().certificate, "controller", "home")
    pins = Pins.load(path)
    pins.add(hub)
    again = Pins.load(path)
    assert again.controller() == again.get(hub.id) == again.of(hub.certificate) == hub
    path.write_bytes(path.read_bytes().replace(hub.id.encode(), new_identity().id.encode()))
    with pytest.raises(ConfigError, match="do not belong"):
        Pins.load(path)
    path.write_bytes(b"[")
    with pytest.raises(ConfigError, match="damaged"):
        Pins.load(path)
