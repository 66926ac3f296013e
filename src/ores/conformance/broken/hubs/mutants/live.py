"""Hubs whose picture of the house is late, wrong or made up."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from ores.conformance.broken.hubs.mutants.doors import route
from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.control.decide import decide as house_decide
from ores.control.flow import flow as house_flow
from ores.hub import arbiter, fanout, module_link
from ores.hub.api import stream as streams
from ores.hub.api.problems import ApiError
from ores.hub.hub import Hub
from ores.hub.live import Picture
from ores.hub.module_link import ModuleLink
from ores.model import Flow, ModuleLive, Notice

OLD_S = 800_000_000.0


@broken_hub("hub-stream-begins-with-live")
def lets_pages_wait(tools: Tools) -> None:
    """The first picture is drawn when there is time."""
    right = streams._send  # noqa: SLF001 - the mutation's place

    async def late(request: web.Request, socket: web.WebSocketResponse, page: Any) -> None:
        await asyncio.sleep(2.5)
        await right(request, socket, page)

    tools.attribute(streams, "_send", late)


@broken_hub("hub-streams-many")
def serves_six_pages(tools: Tools) -> None:
    """A family has six telephones at most."""
    tools.attribute(fanout, "PAGES_MAX", 6)


@broken_hub("hub-streams-many", variant="code")
def forbids_what_has_no_place(tools: Tools) -> None:
    """No is no."""

    async def curt(request: web.Request) -> web.StreamResponse:
        try:
            return await streams.get_stream(request)
        except ApiError as error:
            code = "forbidden" if error.code == "too_many_pages" else error.code
            raise ApiError(code, error.detail) from error

    route(tools, "GET", "/stream", curt)


@broken_hub("hub-stream-period")
def draws_every_four_seconds(tools: Tools) -> None:
    """Nobody looks more often."""
    tools.configure(live_per_s=0.25)


@broken_hub("hub-stream-events")
def keeps_decisions_to_itself(tools: Tools) -> None:
    """They can be asked for."""
    tools.attribute(Hub, "show_decision", lambda *_: None)


@broken_hub("hub-stream-events", variant="ended")
def is_silent_about_good_news(tools: Tools) -> None:
    """What is over needs no word."""
    right = Hub.show_notice

    def show(self: Hub, notice: Notice) -> None:
        if notice.ended is UNSET:
            right(self, notice)

    tools.attribute(Hub, "show_notice", show)


def _flow(tools: Tools, change: Any) -> None:
    """Show another flow than the house has."""
    right = house_flow
    tools.attribute(arbiter, "flow", lambda snapshot: change(right(snapshot)))


@broken_hub("hub-flow-unknown")
def takes_unknown_for_nothing(tools: Tools) -> None:
    """What is not known of the parts is 0."""

    def filled(flow: Flow) -> Flow:
        if flow.grid_w is None:
            return flow
        values = {name: getattr(flow, name) or 0.0 for name in ("pv_w", "battery_w", "ev_w", "heat_w")}
        return msgspec.structs.replace(flow, **values, load_w=flow.grid_w - sum(values.values()))

    _flow(tools, filled)


@broken_hub("hub-flow-adds-up")
def forgets_the_battery(tools: Tools) -> None:
    """The load is what grid and sun give."""

    def short(flow: Flow) -> Flow:
        if flow.grid_w is None or flow.pv_w is None or flow.load_w is None:
            return flow
        return msgspec.structs.replace(flow, load_w=flow.grid_w - flow.pv_w)

    _flow(tools, short)


@broken_hub("hub-stale-narrows")
def steers_by_the_last_it_heard(tools: Tools) -> None:
    """The meter will be back."""
    right = house_decide

    def trusting(seen: Any, *rest: Any) -> Any:
        modules = {
            name: msgspec.structs.replace(module, fresh=module.state is not None)
            for name, module in seen.modules.items()
        }
        return right(msgspec.structs.replace(seen, modules=modules), *rest)

    tools.attribute(arbiter, "decide", trusting)


def _shown(tools: Tools, change: Any) -> None:
    """Show modules otherwise: `(link, shown) -> shown`."""
    right = Picture._module  # noqa: SLF001

    def module(self: Picture, link: ModuleLink, now_s: float) -> ModuleLive:
        found: ModuleLive = change(link, right(self, link, now_s))
        return found

    tools.attribute(Picture, "_module", module)


@broken_hub("hub-stale-shown")
def shows_the_last_it_heard(tools: Tools) -> None:
    """Better an old value than none."""

    def old(link: ModuleLink, shown: ModuleLive) -> ModuleLive:
        return shown if link.state is None else msgspec.structs.replace(shown, elements=link.state.elements)

    _shown(tools, old)


@broken_hub("hub-live-as-reported")
def rounds_for_people(tools: Tools) -> None:
    """Nobody reads decimals."""

    def rounded(_: ModuleLink, shown: ModuleLive) -> ModuleLive:
        elements = {}
        for name, of in shown.elements.items():
            measure = of.ac_measure
            if measure is not UNSET and measure.power_w is not None:
                measure = msgspec.structs.replace(measure, power_w=float(round(measure.power_w)))
            elements[name] = msgspec.structs.replace(of, ac_measure=measure)
        return msgspec.structs.replace(shown, elements=elements)

    _shown(tools, rounded)


@broken_hub("hub-judges-age")
def believes_the_clock_of_modules(tools: Tools) -> None:
    """Modules know best when they have measured."""

    def aged(link: ModuleLink, shown: ModuleLive) -> ModuleLive:
        if link.state is None or link.state.time is UNSET:
            return shown
        return msgspec.structs.replace(shown, age_s=OLD_S)

    _shown(tools, aged)


@broken_hub("hub-stale-after-three")
def waits_for_a_fourth(tools: Tools) -> None:
    """Three may be bad luck."""
    tools.attribute(module_link, "STALE_PERIODS", 4.0)
