"""One root for everything that goes wrong between processes.

```
OresError
├─ PeerError        the other side broke the standard (InvalidMessage, VersionMismatch)
├─ Unavailable      try again later (TimedOut, Disconnected)
├─ Forbidden        do not retry
└─ ConfigError      a human must act; says which setting, what was found, what is allowed
```

Each carries a `code` from `standard/registry/errors.yaml`; a refusal of a *command* is an answer, not one of
these.
"""

from __future__ import annotations


class OresError(Exception):
    """The root. `code` is stable and from the registry; the text is for people."""

    code = "internal"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        if code is not None:
            self.code = code

    @property
    def detail(self) -> str:
        """What happened, in one sentence for a person."""
        return str(self.args[0])


class PeerError(OresError):
    """The other side broke the standard."""

    code = "peer_error"


class InvalidMessage(PeerError):
    """A message that its schema does not allow.

    Args:
        detail: What is wrong, in one sentence.
        field: Where, as a JSON path such as `$.elements.battery.setpoint.power_w`.
        found: What stood there, shortened.
        allowed: What may stand there.
    """

    code = "invalid_message"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        field: str | None = None,
        found: str | None = None,
        allowed: str | None = None,
    ) -> None:
        super().__init__(detail, code=code)
        self.field = field
        self.found = found
        self.allowed = allowed


class VersionMismatch(PeerError):
    """The two sides share no version of the protocol."""

    code = "version_mismatch"


class Unavailable(OresError):
    """Not now; try again later."""

    code = "unavailable"


class TimedOut(Unavailable):
    """No answer within the deadline."""

    code = "timed_out"


class Disconnected(Unavailable):
    """The connection is gone."""

    code = "disconnected"


class Forbidden(OresError):
    """Not allowed; the same request will not be allowed later either."""

    code = "forbidden"


class ConfigError(OresError):
    """A human must act.

    Args:
        setting: The setting's name as the person wrote it.
        found: What was found there.
        allowed: What is allowed.
    """

    code = "config"

    def __init__(self, setting: str, *, found: object, allowed: str, code: str | None = None) -> None:
        super().__init__(f"{setting}: found {found!r}, allowed is {allowed}", code=code)
        self.setting = setting
        self.found = found
        self.allowed = allowed
