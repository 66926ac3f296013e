"""The tariff that a hub is told to plan by."""

from __future__ import annotations

import json
from pathlib import Path

from ores import tariff
from ores.link.errors import ConfigError

OPTION = "--tariff"


def read(spec: str) -> tuple[str, str]:
    """The text of a tariff file and the id of the tariff that a person means by `FILE.json:ID`.

    Raises:
        ConfigError: No such file or tariff, or one that cannot be planned by; says why.
    """
    path, _, wanted = spec.rpartition(":") if not Path(spec).exists() else (spec, "", "")
    file = Path(path or spec)
    if not file.is_file():
        raise ConfigError(OPTION, found=spec, allowed="FILE.json:ID")
    try:
        text = file.read_text(encoding="utf-8")
        found = tariff.tariffs(json.loads(text))
    except tariff.TariffError as error:
        raise ConfigError(
            f"{OPTION} {file}: {error.setting}", found=error.found, allowed=error.allowed
        ) from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{OPTION} {file}", found=str(error), allowed="JSON") from None
    if not wanted and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        allowed = f"FILE.json:ID with one of {', '.join(found)}"
        raise ConfigError(OPTION, found=wanted or "no id", allowed=allowed)
    if found[wanted].series:
        names = ", ".join(series.name for series in found[wanted].series)
        raise ConfigError(
            OPTION,
            found=f"{wanted}, which follows {names}",
            allowed="a tariff whose prices stand in the file",
        )
    return text, wanted


def chosen(text: str, wanted: str) -> tariff.Tariff:
    """That tariff; both as `read` returned them."""
    return tariff.tariffs(json.loads(text))[wanted]
