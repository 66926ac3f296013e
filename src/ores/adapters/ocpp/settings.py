"""What an owner says of chargers: one YAML file, or a few words of the command.

```yaml
tags: [04A1B2C3D4]            # cards that may charge; or all
chargers:
  GARAGE:                     # its id, as it stands at the end of the address that the charger calls
    name: Garage
    password: at least 16 characters
    rated_a: 16
    phases: 3
tls: {certificate: hub.pem, key: hub.key, clients: chargers.pem}
```
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import yaml
from msgspec import Meta

from ores.link.errors import ConfigError

FILE_MAX_BYTES: Final = 1_000_000
PORT: Final = 8887
ID: Final = re.compile(r"[A-Za-z0-9*+=:|@._-]{1,48}")
"""Of a charger; 2.0.1 part 4, 3.1.1 allows these, and no colon where a password is used."""
ALLOWED: Final = "see docs/ocpp.md"


class Charger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one charger cannot tell.

    Attributes:
        name: What its owner calls it; empty for its id.
        password: By which it says who it is; empty where it needs none.
        rated_a: Per conductor: what fuse and cable of each connector can bear.
        phases: Conductors that feed it.
        conductor: On which one it hangs, where it has one.
        voltage_v: Nominal, of one conductor.
        min_a: Below it a car does not charge (IEC 61851).
        sample_s: Between two readings of its meter.
        lease_s: So long a command holds in the charger when nobody renews it.
    """

    name: Annotated[str, Meta(max_length=64)] = ""
    password: Annotated[str, Meta(max_length=64)] = ""
    rated_a: Annotated[float, Meta(ge=6, le=80)] = 16.0
    phases: Literal[1, 3] = 3
    conductor: Literal["L1", "L2", "L3", ""] = ""
    voltage_v: Annotated[float, Meta(ge=100, le=300)] = 230.0
    min_a: Annotated[float, Meta(ge=1, le=16)] = 6.0
    sample_s: Annotated[int, Meta(ge=1, le=60)] = 10
    lease_s: Annotated[int, Meta(ge=10, le=3600)] = 60


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How chargers know the hub, and the hub them.

    Attributes:
        certificate: File of the hub's, with what chains it to one that chargers trust.
        key: File of its key.
        clients: File of the authority that has signed the chargers' certificates; empty where they have none.
    """

    certificate: str
    key: str
    clients: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it.

    Attributes:
        tags: Cards that may charge; `all` for any.
        chargers: Those that are let in, by id.
        tls: None where the connection is not encrypted.
    """

    tags: list[Annotated[str, Meta(min_length=1, max_length=36)]] | Literal["all"] = []
    chargers: dict[str, Charger] = {}
    tls: Tls | None = None

    def accepts(self, tag: str) -> bool:
        """Whether this card may charge; capitals and small letters are the same (1.6, 3.7: CiString)."""
        return self.tags == "all" or tag.casefold() in {one.casefold() for one in self.tags}


def assembled(file: Path | None, ids: Sequence[str], words: Sequence[str]) -> Settings:
    """What holds, of a file and of the words of a command.

    Args:
        file: Of an owner; None for none.
        ids: Of chargers that the command names.
        words: `NAME=VALUE`; `tags`, or what then holds for each charger that the command names.

    Raises:
        ConfigError: Something in it cannot be; names the place and what is allowed.
    """
    tree = {} if file is None else _tree(file)
    chargers = tree.get("chargers") or {}
    if not isinstance(chargers, dict):
        raise ConfigError("chargers", found=chargers, allowed="ids, and what holds for each")
    said: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError("--set", found=word, allowed="NAME=VALUE")
        if name == "tags":
            tree["tags"] = value if value == "all" else [one for one in value.split(",") if one]
        else:
            said[name] = value
    for id_ in ids:
        of_file = chargers.get(id_) or {}
        chargers[id_] = {**of_file, **said} if isinstance(of_file, dict) else of_file
    try:
        all_ = msgspec.convert({**tree, "chargers": chargers}, Settings, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(_place(error), found=str(error), allowed=ALLOWED) from error
    _check(all_)
    return all_


def _place(error: Exception) -> str:
    """Where msgspec found it, such as `chargers.rated_a`."""
    _, _, where = str(error).partition("$.")
    return where.rstrip("`").replace("[...]", "") or "settings"


def _check(all_: Settings) -> None:
    if not all_.chargers:
        raise ConfigError("chargers", found="none", allowed="the id of each charger that is let in")
    for id_, one in all_.chargers.items():
        if not ID.fullmatch(id_) or (one.password and ":" in id_):
            raise ConfigError(
                "chargers", found=id_, allowed="an id of letters, digits and -._=:+|@*, at most 48"
            )
        if 0 < len(one.password) < 8:
            raise ConfigError(f"chargers.{id_}.password", found="a short one", allowed="8 to 64 characters")
        if one.conductor and one.phases == 3:
            raise ConfigError(f"chargers.{id_}.conductor", found=one.conductor, allowed="with phases: 1")
        if one.min_a > one.rated_a:
            raise ConfigError(f"chargers.{id_}.min_a", found=one.min_a, allowed=f"at most {one.rated_a}")


def _tree(file: Path) -> dict[str, object]:
    try:
        text = file.read_bytes()
        if len(text) > FILE_MAX_BYTES:
            raise ConfigError("--map", found=f"{len(text)} bytes", allowed=f"at most {FILE_MAX_BYTES}")
        tree = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            "--map", found=f"{file}: {error.strerror}", allowed="a file that can be read"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"--map {file.name}", found=said, allowed="a YAML file") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigError(f"--map {file.name}", found=type(tree).__name__, allowed=ALLOWED)
    return dict(tree)
