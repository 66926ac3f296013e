"""The module's resources: what may be read, set and asked for, and by whom."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ores.link import codec
from ores.link.endpoint import Peer, Reply
from ores.link.errors import InvalidMessage
from ores.model import (
    ElementSettings,
    Failsafe,
    Lease,
    LeaseResult,
    Limits,
    Policy,
    Request,
    RequestResult,
    Settings,
    State,
    StorageSettings,
)
from ores.module import flexibility, problems
from ores.module.control import Control, strictest
from ores.module.device import Device, Refused, TakesRequests, TellsFlexibility
from ores.module.effective import Ceilings
from ores.module.part import Part
from ores.module.problems import Refusal
from ores.module.store import Saved

T = TypeVar("T")

BODY_MAX_BYTES: Final = 4096
RESTART: Final = "restart"
_PAGE: Final = re.compile(r"page=([0-9]{1,3})")
_Handler = Callable[[Peer, bytes], object]


class Resourceful(Protocol):
    """What the resources know of their module, and ask of it; `Module` says what each does."""

    saved: Saved

    @property
    def pages(self) -> Sequence[bytes]: ...  # noqa: D102  see above
    @property
    def public_page(self) -> bytes: ...  # noqa: D102
    @property
    def parts(self) -> Sequence[Part]: ...  # noqa: D102
    @property
    def control(self) -> Control: ...  # noqa: D102
    @property
    def device(self) -> Device: ...  # noqa: D102

    def fitting_state(self) -> State: ...  # noqa: D102
    def take_lease(self, peer: Peer, lease: Lease) -> LeaseResult: ...  # noqa: D102
    def changed(self) -> None: ...  # noqa: D102
    @property
    def restart(self) -> Callable[[], None] | None: ...  # noqa: D102
    def configure(self, element: str, settings: ElementSettings) -> Refused | None: ...  # noqa: D102
    def keep_and_use(self, saved: Saved) -> None: ...  # noqa: D102


class Resources:
    """Routes of one module; each answers with a message that its schema allows."""

    def __init__(self, module: Resourceful) -> None:
        self._module: Final = module
        self._routes: Final[dict[str, dict[str, _Handler]]] = {
            "/state": {"GET": self._get_state},
            "/lease": {"PUT": self._put_lease},
            "/failsafe": {"GET": self._get_failsafe, "PUT": self._put_failsafe},
            "/policy": {"GET": self._get_policy, "PUT": self._put_policy},
            "/settings": {"GET": self._get_settings, "PUT": self._put_settings},
            "/requests": {"POST": self._post_request},
            "/faults": {"GET": self._get_faults},
        }
        if isinstance(module.device, TellsFlexibility):
            self._routes["/flexibility"] = {"GET": self._get_flexibility}

    def answer(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        """Answer one request; whatever the peer does wrong is answered by a problem."""
        try:
            where, _, query = path.partition("?")
            if where == "/description":
                return Reply(200, self._description(peer, method, query))
            handler = self._handler(peer, method, where)
            return Reply(200, msgspec.json.encode(handler(peer, body)))
        except Refusal as refusal:
            return problems.reply(refusal.problem, refusal.allow)
        except InvalidMessage as error:
            return problems.reply(problems.of_invalid(error))

    def _handler(self, peer: Peer, method: str, where: str) -> _Handler:
        methods = self._routes.get(where)
        if methods is None:
            known = ", ".join(["/description", *self._routes])
            raise Refusal("not_found", f"there is no {where[:64]}; known are {known}")
        if peer.role not in {"controller", "observer"}:
            raise Refusal("forbidden", "only paired peers may ask for this: pair first")
        handler = methods.get(method)
        if handler is None:
            known = ", ".join(methods)
            raise Refusal("method_not_allowed", f"{where} knows {known}", found=method, allow=[*methods])
        if method != "GET" and peer.role != "controller":
            raise Refusal("forbidden", "an observer reads; only the controller commands")
        return handler

    def _description(self, peer: Peer, method: str, query: str) -> bytes:
        """A page; a stranger learns what it could pair with, and nothing about the home (SEC-001)."""
        if method != "GET":
            raise Refusal("method_not_allowed", "/description knows GET", found=method, allow=["GET"])
        if peer.role not in {"controller", "observer"}:
            if query not in {"", "page=1"}:
                raise Refusal(
                    "forbidden", "a stranger learns what it could pair with: pair first", found=query
                )
            return self._module.public_page
        pages = self._module.pages
        found = _PAGE.fullmatch(query) if query else None
        page = int(found[1]) if found else 1
        if (query and not found) or not 1 <= page <= len(pages):
            raise Refusal("not_found", f"pages are 1 to {len(pages)}", found=query)
        return pages[page - 1]

    def _get_state(self, _peer: Peer, _body: bytes) -> object:
        return self._module.fitting_state()

    def _put_lease(self, peer: Peer, body: bytes) -> object:
        return self._module.take_lease(peer, _command(Lease, body))

    def _get_failsafe(self, _peer: Peer, _body: bytes) -> object:
        saved = self._module.saved
        if not saved.strict:
            return Failsafe(elements=saved.failsafe)
        limits = {
            part.element.id: _limits(strictest(part)) for part in self._module.parts if part.rules.limit
        }
        return Failsafe(elements=limits)

    def _put_failsafe(self, peer: Peer, body: bytes) -> object:
        asked = _command(Failsafe, body)
        self._check_epoch(peer, asked.epoch)
        failsafe = Failsafe(elements=asked.elements)
        for name, limits in failsafe.elements.items():
            _check_failsafe(self._part(name), limits)
        self._module.keep_and_use(
            msgspec.structs.replace(self._module.saved, failsafe=failsafe.elements, strict=False)
        )
        return failsafe

    def _get_policy(self, _peer: Peer, _body: bytes) -> object:
        return self._module.control.policy

    def _put_policy(self, peer: Peer, body: bytes) -> object:
        asked = _command(Policy, body)
        self._check_epoch(peer, asked.epoch)
        policy = msgspec.structs.replace(asked, epoch=UNSET)
        offered = self._module.control.policies
        if policy.kind not in offered:
            raise Refusal(
                "unknown_policy", f"offered are {', '.join(offered)}", field="$.kind", found=policy.kind
            )
        self._module.keep_and_use(msgspec.structs.replace(self._module.saved, policy=policy))
        return policy

    def _get_settings(self, _peer: Peer, _body: bytes) -> object:
        return Settings(
            elements={part.element.id: _settings(part) for part in self._module.parts if part.has_reserve}
        )

    def _put_settings(self, peer: Peer, body: bytes) -> object:
        settings = _command(Settings, body)
        self._check_epoch(peer, settings.epoch)
        asked = settings.elements
        for name, wanted in asked.items():
            _check_settings(self._part(name), wanted)
        saved = self._module.saved
        before = {part.element.id: _settings(part) for part in self._module.parts}
        try:
            for name, wanted in asked.items():
                if (refused := self._module.configure(name, wanted)) is not None:
                    where = f"$.elements.{name}"
                    raise Refusal("setting_refused", f"{refused.code}: {refused.detail}", field=where)  # noqa: TRY301
            # a PUT changes what it names
            self._module.keep_and_use(msgspec.structs.replace(saved, settings={**saved.settings, **asked}))
        except Refusal:
            for name in asked:  # what was refused in part has not happened
                self._module.configure(name, before[name])
            raise
        return self._get_settings(peer, body)

    def _post_request(self, peer: Peer, body: bytes) -> object:
        request = _command(Request, body)
        if (why := self._past(peer, request.epoch)) is not None:
            return RequestResult(result="refused", code="lease_old_epoch", detail=why)
        if isinstance(request.element, UnsetType):
            return self._request_of_all(request.request)
        return self._request_of_part(self._part(request.element), request.request)

    def _request_of_part(self, part: Part, asked: str) -> RequestResult:
        """A request of one element."""
        name = part.element.id
        device = self._module.device
        known = _requests_of(part)
        if asked not in known or not isinstance(device, TakesRequests):
            offered = ", ".join(known) if known and isinstance(device, TakesRequests) else "none"
            return RequestResult(
                result="refused",
                code="unknown_request",
                detail=f"{name} takes no request {asked}; known: {offered}",
            )
        if asked == "black_start" and part.endangered:
            detail = f"{name} is in danger, and nobody has reset that at the device"
            return RequestResult(result="refused", code="interlocked", detail=detail)
        try:
            refused = device.request(name, asked)
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; nobody else pays
            return RequestResult(result="refused", code="device_failed", detail=repr(error)[:512])
        self._module.changed()
        if refused is None:
            return RequestResult(result="accepted")
        return RequestResult(result="refused", code=refused.code, detail=refused.detail[:512])

    def _request_of_all(self, asked: str) -> RequestResult:
        """A request of the module as a whole."""
        restart = self._module.restart
        if asked != RESTART or restart is None:
            offered = "none" if restart is None else RESTART
            detail = f"the module as a whole takes no request {asked}; known: {offered}"
            return RequestResult(result="refused", code="unknown_request", detail=detail)
        holding = [part.element.id for part in self._module.parts if part.holds_island]
        if holding:
            detail = f"{', '.join(holding)} holds up an island: a restart could put out the lights"
            return RequestResult(result="refused", code="interlocked", detail=detail[:512])
        restart()
        return RequestResult(result="accepted")

    def _get_flexibility(self, _peer: Peer, _body: bytes) -> object:
        device = self._module.device
        if not isinstance(device, TellsFlexibility):  # there is no such route then
            raise Refusal("not_found", "it tells no flexibility of its own")
        elements = [part.element for part in self._module.parts]
        return flexibility.message(device, elements, self._module.fitting_state())

    def _get_faults(self, _peer: Peer, _body: bytes) -> object:
        faults = {part.element.id: part.fault() for part in self._module.parts}
        return {"elements": {name: fault for name, fault in faults.items() if fault is not UNSET}}

    def _past(self, peer: Peer, epoch: int | UnsetType) -> str | None:
        """Why what carries this epoch comes from a hub that is over; None where it does not (LEASE-027)."""
        book = self._module.control.book
        if isinstance(epoch, UnsetType) or peer.id != book.controller or epoch >= book.epoch:
            return None
        return f"epoch {epoch} is over; {book.epoch} has been seen"

    def _check_epoch(self, peer: Peer, epoch: int | UnsetType) -> None:
        if (why := self._past(peer, epoch)) is not None:
            raise Refusal("lease_old_epoch", why, field="$.epoch", found=str(epoch))

    def _part(self, name: str) -> Part:
        part = self._module.control.parts.get(name)
        if part is None:
            known = ", ".join(self._module.control.parts)
            raise Refusal("unknown_element", f"elements are {known}", field=f"$.elements.{name}", found=name)
        return part


def _settings(part: Part) -> ElementSettings:
    if not part.has_reserve:
        return ElementSettings()
    return ElementSettings(storage=StorageSettings(reserve_pct=part.reserve_pct))


def _check_settings(part: Part, settings: ElementSettings) -> None:
    name = part.element.id
    if not isinstance(settings.storage, UnsetType) and not part.has_reserve:
        raise Refusal("unknown_capability", f"{name} takes no reserve", field=f"$.elements.{name}.storage")


def _command(type_: type[T], body: bytes) -> T:
    return codec.decode(type_, body, limit_bytes=BODY_MAX_BYTES, unique_keys=True)


def _check_failsafe(part: Part, limits: Limits) -> None:
    name, able, rating = part.element.id, part.rules.limit, part.rules.rating
    for field, can, most in (
        ("consume_max_w", able and able.consume, rating.consume_max_w),
        ("produce_max_w", able and able.produce, rating.produce_max_w),
        ("current_max_a", able and able.current, rating.current_max_a),
    ):
        value: float | UnsetType = getattr(limits, field)
        if isinstance(value, UnsetType):
            continue
        where = f"$.elements.{name}.{field}"
        if can is not True:
            raise Refusal("unknown_capability", f"{name} declares no limit for {field}", field=where)
        if value > most:
            detail = f"{name} is rated {most}; leave {field} out to be bound by the rating alone"
            raise Refusal("out_of_range", detail, field=where, found=str(value))


def _requests_of(part: Part) -> list[str]:
    """What may be asked for; that a tie closes may only be permitted, never ordered."""
    able = part.element.capabilities
    known = [] if able.isolate is UNSET else ["open", "permit_close"]
    known += [] if able.form_grid is UNSET else ["black_start"]
    return known if able.job is UNSET else [*known, "start"]


def _limits(ceilings: Ceilings) -> Limits:
    finite = {
        field: value
        for field in Limits.__struct_fields__
        if (value := getattr(ceilings, field)) != float("inf")
    }
    return Limits(**finite)
