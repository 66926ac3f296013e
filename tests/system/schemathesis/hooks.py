"""What schemathesis is told about ORES, and two checks of our own. Loaded by its command line, not by pytest.

- `registered_problem`: a refusal is a problem whose code the operation names (`x-errors`, or the document's
  `x-shared-errors`), with the status that the registry gives it. A document that leaves `default` open to
  any status would otherwise let any pass.
- `closed_door`: where this run is somebody who may not come in (`ORES_REFUSED_AS`), every operation that is
  not public refuses with that code and nothing else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from tools import schemas

DOCUMENT = json.loads(Path(os.environ["ORES_DOCUMENT"]).read_text())
REFUSED_AS = os.environ.get("ORES_REFUSED_AS")
NOBODY = "127.0.0.1:9"
STATUS = {
    row["code"]: row["status"]
    for row in yaml.safe_load((schemas.STANDARD / "registry/errors.yaml").read_text())
}
INTEGER_MAX = 2.0**53


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; the standard wants it written as 1 ([MSG-003])."""
    return _whole(body)


@schemathesis.hook("before_call")
def do_no_harm(_context: Any, case: Any, _kwargs: Any) -> None:
    """What is asked for must neither reach strangers nor end this run's own connections.

    A hub that is told to pair knocks at the address that it is given; a module that is asked to restart does.
    """
    name, body = case.operation.definition.raw.get("operationId"), case.body
    if not isinstance(body, dict):
        return
    if name == "pairModule" and isinstance(address := body.get("address"), str) and ":" in address:
        case.body = {**body, "address": NOBODY}
    if name == "postRequest" and body.get("request") == "restart":
        case.body = {**body, "request": "restart later"}


@schemathesis.check
def registered_problem(_context: Any, response: Any, case: Any) -> None:
    """See above."""
    if response.status_code < 400:
        return
    said = response.json()
    known = {*case.operation.definition.raw.get("x-errors", []), *DOCUMENT["x-shared-errors"]}
    code = said.get("code")
    assert code in known, f"code {code!r} is none of those that the operation names: {sorted(known)}"
    assert response.status_code == said["status"] == STATUS[code], (
        f"{code}: HTTP {response.status_code}, in the body {said['status']}, registered {STATUS[code]}"
    )


@schemathesis.check
def closed_door(_context: Any, response: Any, case: Any) -> None:
    """See above."""
    public = {} in case.operation.definition.raw.get("security", DOCUMENT["security"])
    if REFUSED_AS is None or public:
        return
    said = response.json().get("code")
    allowed = {REFUSED_AS, "method_not_allowed", "bad_request", "too_large"}
    assert said in allowed, f"whoever is not let in is told {said!r}, and not {REFUSED_AS!r}"


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < INTEGER_MAX:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value
