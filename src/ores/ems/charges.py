"""What a tariff charges beyond the price of each kWh: peaks and tiers, as columns and rows."""

from __future__ import annotations

import numpy as np

from ores.ems.inputs import Floats, InputError, scalar
from ores.ems.parts import Connection
from ores.ems.sheet import Ints, Numbers, Sheet
from ores.ems.sides import Sides
from ores.tariff.terms import PeakTerm, TierTerm


class Peak:
    """The highest mean import over blocks of intervals: one level above them all."""

    def __init__(self, sheet: Sheet, link: Connection, term: PeakTerm, hours: Floats, name: str) -> None:
        self.name = name
        self.term = term
        self.at, self.block, self.block_hours = blocks_of(term, hours, name)
        self.level = sheet.columns(1)
        self.begun = sheet.columns(1)
        rows = sheet.rows(len(self.block_hours), at_most=True)
        for bought in (link.bought, link.bought_beyond):
            sheet.put(rows[self.block], bought[self.at], 1.0)
        sheet.put(rows, np.repeat(self.level, len(rows)), -self.block_hours)
        first = rows[: self.under_way(term)]
        sheet.put(first, np.repeat(self.begun, len(first)), 1.0)

    def under_way(self, term: PeakTerm) -> int:
        """1 where block 0 counts still, and has begun before the first interval."""
        return int(term.begun_hours > 0.0 and len(self.at) > 0 and int(np.min(term.block[self.at])) == 0)

    def fill(self, term: PeakTerm, numbers: Numbers, unit: float) -> None:
        """Bounds and cost: nothing below the peak so far."""
        self.term = term
        numbers.lower[self.level] = scalar(term.so_far_kw, f"{self.name}.so_far_kw", 0.0)
        begun = scalar(term.begun_kwh, f"{self.name}.begun_kwh", 0.0)
        numbers.lower[self.begun] = numbers.upper[self.begun] = begun
        numbers.cost[self.level] = scalar(term.price_per_kw, f"{self.name}.price_per_kw", 0.0) / unit

    def cost(self, bought_kwh: Floats) -> float:
        """What these imports add to the charge."""
        sums = np.bincount(self.block, bought_kwh[self.at], len(self.block_hours)).astype(np.float64)
        sums[: self.under_way(self.term)] += self.term.begun_kwh
        means = sums / self.block_hours
        so_far = self.term.so_far_kw
        return self.term.price_per_kw * float(max(means.max(initial=so_far) - so_far, 0.0))


def blocks_of(term: PeakTerm, hours: Floats, name: str) -> tuple[Ints, Ints, Floats]:
    """The intervals that count, the block of each (from 0 on), and the length of each block in h."""
    block = np.asarray(term.block)
    if block.shape != hours.shape:
        raise InputError(
            f"{name}.block", f"of shape {block.shape}", f"one for each of {len(hours)} intervals"
        )
    at = np.flatnonzero(block >= 0)
    numbered: Ints = np.unique(block[at], return_inverse=True)[1]
    lengths: Floats = np.bincount(numbered, hours[at]).astype(np.float64)
    if len(at) and block[at].min() == 0:
        lengths[0] += scalar(term.begun_hours, f"{name}.begun_hours", 0.0)
    return at, numbered, lengths


class Tier:
    """Energy beyond an amount: bought + unused = amount left + beyond."""

    def __init__(self, sheet: Sheet, link: Connection, term: TierTerm, name: str) -> None:
        self.name = name
        self.term = term
        counts = np.asarray(term.counts)
        if counts.shape != link.bought.shape:
            raise InputError(
                f"{name}.counts", f"of shape {counts.shape}", f"one for each of {link.count} intervals"
            )
        self.at = np.flatnonzero(counts)
        self.bought = (link.bought[self.at], link.bought_beyond[self.at])
        row = sheet.rows(1)
        self.unused = sheet.columns(1)
        self.beyond = sheet.columns(1)
        self.left = sheet.columns(1)
        self.sides = Sides(
            self.unused[None], self.beyond[None]
        )  # where more is cheaper, the amount comes first
        for bought in self.bought:
            sheet.put(np.repeat(row, len(bought)), bought, 1.0)
        sheet.put(row, self.unused, 1.0)
        sheet.put(row, self.beyond, -1.0)
        sheet.put(row, self.left, -1.0)

    def fill(self, term: TierTerm, numbers: Numbers, unit: float) -> None:
        """Bounds and cost."""
        self.term = term
        left = scalar(term.left_kwh, f"{self.name}.left_kwh", 0.0)
        extra = scalar(term.extra_per_kwh, f"{self.name}.extra_per_kwh")
        numbers.lower[self.left] = numbers.upper[self.left] = left
        numbers.upper[self.unused] = left
        most = sum(float(numbers.upper[columns].sum()) for columns in self.bought)
        numbers.upper[self.beyond] = most
        numbers.cost[self.beyond] = extra / unit

    def cost(self, bought_kwh: Floats) -> float:
        """What these imports cost more, or less where negative."""
        beyond = float(bought_kwh[self.at].sum()) - self.term.left_kwh
        return self.term.extra_per_kwh * max(beyond, 0.0)
