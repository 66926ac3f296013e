"""The ladder as a page: one file, nothing fetched; bars of the whole, lines of the months."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from ores.backtest.ladder import Ladder
from ores.ems.inputs import Floats

WIDTH: Final = 720
_COLOURS: Final = {
    "none": "#8a8f98", "rule": "#d08a2e", "timer": "#b3679b", "slots": "#5b8dd9",
    "plan": "#1f9d83", "oracle": "#3b3f46",
}  # fmt: skip
_HEAD: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>ORES backtest</title><style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto;display:block;margin:.5rem 0 1.5rem}
text{fill:currentColor;font:12px system-ui,sans-serif}
h2{margin-top:2.5rem}p{opacity:.8}</style>
"""


def page(ladders: Sequence[Ladder], tariff: str, currency: str) -> str:
    """The whole page.

    Args:
        ladders: One for each home.
        tariff: Its id.
        currency: Of all money.
    """
    parts = [_HEAD, f"<h1>{escape(tariff)}</h1>"]
    for ladder in ladders:
        parts.append(f"<h2>{escape(ladder.home)}</h2>")
        parts.append(f"<p>Bill of {ladder.intervals * ladder.hours / 24.0:.0f} days, {escape(currency)}.</p>")
        parts.append(_bars(ladder))
        parts.append("<p>By month.</p>")
        parts.append(_months(ladder))
        parts += [f"<p>{escape(note)}</p>" for note in ladder.notes]
    return "".join(parts) + "</html>\n"


def _bars(ladder: Ladder) -> str:
    costs = {name: rung.cost for name, rung in ladder.rungs.items()}
    low, high = min(0.0, *costs.values()), max(0.0, *costs.values())
    scale = (WIDTH - 260) / ((high - low) or 1.0)
    zero = 70 - low * scale
    rows = []
    for row, (name, cost) in enumerate(costs.items()):
        share = ladder.share(name)
        said = f"{cost:,.2f}" + (
            "" if share is None or name == "none" else f"  ({share:.1%} of the oracle's saving)"
        )
        left = min(zero, zero + cost * scale)
        rows.append(
            f'<text x="0" y="{row * 26 + 17}">{name}</text>'
            f'<rect x="{left:.1f}" y="{row * 26 + 4}" width="{abs(cost) * scale:.1f}" height="18"'
            f' rx="3" fill="{_COLOURS[name]}"/>'
            f'<text x="{max(zero, zero + cost * scale) + 6:.1f}" y="{row * 26 + 17}">{said}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {len(rows) * 26}" role="img">{"".join(rows)}</svg>'


def _months(ladder: Ladder) -> str:
    months = {name: np.array([cost for _, cost in rung.months]) for name, rung in ladder.rungs.items()}
    names = [month for month, _ in next(iter(ladder.rungs.values())).months]
    every = np.concatenate([np.zeros(1), *months.values()])
    low, high = float(every.min()), float(every.max())
    lines = [_line(values, low, high, _COLOURS[name]) for name, values in months.items()]
    step = (WIDTH - 60) / max(1, len(names) - 1)
    labels = [
        f'<text x="{50 + at * step:.0f}" y="196" text-anchor="middle">{month[5:]}</text>'
        for at, month in enumerate(names)
    ]
    marks = [
        f'<text x="0" y="{_height(value, low, high) + 4:.0f}">{value:,.0f}</text>'
        f'<path d="M44 {_height(value, low, high):.1f}H{WIDTH}" stroke="currentColor" opacity=".15"/>'
        for value in sorted({low, 0.0, high})
    ]
    return f'<svg viewBox="0 0 {WIDTH} 200" role="img">{"".join([*marks, *lines, *labels])}</svg>'


def _height(value: float, low: float, high: float) -> float:
    return 175.0 - 165.0 * (value - low) / ((high - low) or 1.0)


def _line(values: Floats, low: float, high: float, colour: str) -> str:
    step = (WIDTH - 60) / max(1, len(values) - 1)
    points = " ".join(
        f"{50 + at * step:.1f},{_height(value, low, high):.1f}" for at, value in enumerate(values.tolist())
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
