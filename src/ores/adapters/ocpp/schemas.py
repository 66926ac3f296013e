"""What OCPP allows in a message, by the schemas of its makers; nothing else knows the library."""

from __future__ import annotations

from typing import Final, Literal

from jsonschema import Draft4Validator
from ocpp.messages import get_validator
from ocpp.v16.enums import Action as Actions16
from ocpp.v201.enums import Action as Actions201

Version = Literal["1.6", "2.0.1"]
PROTOCOLS: Final[dict[str, Version]] = {"ocpp2.0.1": "2.0.1", "ocpp1.6": "1.6"}
"""By the name of the WebSocket subprotocol; the newer one first, which is taken where both are offered."""
_ACTIONS: Final[dict[Version, frozenset[str]]] = {
    "1.6": frozenset(str(one.value) for one in Actions16),
    "2.0.1": frozenset(str(one.value) for one in Actions201),
}
_CODES: Final = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "enum": "PropertyConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "format": "PropertyConstraintViolation",
}
_CALL, _RESULT = 2, 3
_SAID_MAX: Final = 200


def is_known(version: Version, action: str) -> bool:
    """Whether the protocol has such a message."""
    return action in _ACTIONS[version]


def fault(version: Version, action: str, payload: object, *, result: bool = False) -> tuple[str, str] | None:
    """The error code and what is wrong with a payload; None for nothing.

    Args:
        version: Of the protocol.
        action: One that is known.
        payload: Of the message.
        result: It is an answer, and no call.
    """
    validator: Draft4Validator = get_validator(_RESULT if result else _CALL, action, version)
    try:
        error = next(validator.iter_errors(payload), None)
    except (ArithmeticError, RecursionError) as broken:
        return code(version, "FormatViolation"), type(broken).__name__
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path)
    words = f"{where}: {error.message}" if where else error.message
    return code(version, _CODES.get(str(error.validator), "FormatViolation")), words[:_SAID_MAX]


def code(version: Version, name: str) -> str:
    """A code of OCPP 2.0.1 as the version spells it (1.6J, table 7; 2.0.1 part 4, 4.3)."""
    return _SPELT_IN_16.get(name, name) if version == "1.6" else name


_SPELT_IN_16: Final = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "RpcFrameworkError": "FormationViolation",
}
