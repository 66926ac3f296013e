"""Cases as plain data: `standard/conformance/cases/*.yaml`, with what stands for what filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import yaml

from ores.conformance.bench import Bench
from ores.conformance.standard import Standard

LEASE_FIELDS = ("epoch", "seq", "boot_id", "uptime_ms")


@dataclass(frozen=True, slots=True)
class Case:
    """One message that is to be refused.

    Attributes:
        name: What is wrong with it.
        demands: The requirement that is kept by refusing it.
        needs: The capability that an element has to declare; None where any element will do.
        text: With `${…}` in place of what only the moment knows.
    """

    name: str
    demands: str
    needs: str | None
    text: str

    def filled(self, lease: Mapping[str, Any], element: str) -> str:
        """The message for a lease that would count now.

        Args:
            lease: With `epoch`, `seq`, `boot_id`, `uptime_ms`.
            element: Id that stands for `${element}`.
        """
        known = {name: lease[name] for name in LEASE_FIELDS}
        fields = ",".join(
            f'"{name}":"{value}"' if isinstance(value, str) else f'"{name}":{value}'
            for name, value in known.items()
        )
        return Template(self.text).substitute(known, fields=fields, element=element)


def cases(standard: Standard, file: str, demands: str) -> Iterator[Case]:
    """Those of a file that a requirement is about.

    Args:
        standard: Beside which they lie.
        file: Without its ending.
        demands: Id of the requirement; the file's own where its cases name none.
    """
    table = yaml.safe_load((standard.folder / "conformance" / "cases" / f"{file}.yaml").read_text())
    for row in table["cases"]:
        of = row.get("demands", demands)
        if of == demands:
            yield Case(row["name"], of, row.get("needs"), row.get("lease", row.get("frame")))


async def messages(bench: Bench, file: str, demands: str) -> list[tuple[str, str]]:
    """Name and text of each case that this module can be asked, as of now.

    Args:
        bench: With the description read.
        file: Without its ending.
        demands: Id of the requirement.
    """
    lease = await bench.lease({})
    found = []
    for case in cases(bench.standard, file, demands):
        elements = bench.having(case.needs) if case.needs else bench.elements
        if elements:
            found.append((case.name, case.filled(lease, elements[0]["id"])))
    return found
