"""Shorter forms of a tariff, as collections of published tariffs write them; `parse` reads them on its way.

| form | meaning |
|---|---|
| `energy: "day-ahead spot + grid energy charge"` | `rates` are the grid's; the series `spot` comes on top |
| `import: 0.3`, `import: {series, column}` | one price; or the series `spot`, with the file it is in |
| `import_peak`, `import_offpeak`, `peak_periods` | two prices, and the ranges of the clock of the first |
| `seasons`, `on_peak`, `energy: {season: {on, off}}` | months by name, on-peak ranges, prices |
| `export: 0.07`, `"0 …"`, `"spot"`, `"net metering at …"` | what a kWh earns |
| `export: {series, column}` | the series `export`, with the file it is in |
| `demand: {basis, …}` | one demand charge, its basis in words |

A basis is one of those of `_BASES`. "Interval demand" is over 30 min, the settlement interval of the
Australian market until October 2021, unless `minutes` says otherwise. `tiers_kw` are the widths of
blocks: the first 3 kW, the next 7, the rest; a peak of 8.5 kW then costs 77 USD a month on average, near
the 80 that the press reported of SRP in 2015. As upper ends, they would make 91.
Above the last of `tier_upper_kw`, its fee stays due.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from ores.tariff.coverage import check_rates
from ores.tariff.model import (
    DAY_S,
    DAYS,
    MONTHS,
    DemandCharge,
    EnergyCharge,
    Rate,
    SeriesSource,
    TariffError,
    When,
)
from ores.tariff.reader import STRETCHES, Reader, check_range, clock_s, decimal, shortened, stretch_minutes

EXPORT = "export"
_SPOT_AND_GRID = "day-ahead spot + grid energy charge"
_SIX_HOLIDAYS = ("01-01", "last mon 05", "07-04", "1 mon 09", "4 thu 11", "12-25")
"""As US utilities have them: New Year, Memorial, Independence and Labor Day, Thanksgiving, Christmas."""

_WORK = frozenset(range(5))
_PEAK_DAYS = {"all": DAYS, "weekday": _WORK, "weekday, six holidays off": _WORK}
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ON_PEAK = re.compile(r"highest (\d+)-min on-peak average kW in the bill month( \(fixed clock half hours\))?")
_INTERVAL = re.compile(r"highest interval demand in month(?:, (\d\d:\d\d)-(\d\d:\d\d)( weekdays)?)?")
_DAILY = re.compile(
    r"mean of the (\d{1,2}) largest daily maxima \(hourly kW, distinct days\) in the month picks a tier"
)
_BASES = (
    '"highest N-min on-peak average kW in the bill month", '
    '"highest interval demand in month, HH:MM-HH:MM weekdays", '
    '"mean of the N largest daily maxima (hourly kW, distinct days) in the month picks a tier", '
    "or a list of demand charges"
)


def holidays(reader: Reader) -> tuple[str, ...]:
    """The holidays of a tariff that only says how many it has."""
    if reader.has("on_peak"):
        peak = reader.child("on_peak")
        if peak.has("days") and "six holidays off" in peak.text("days"):
            return _SIX_HOLIDAYS
    return ()


def names_spot(reader: Reader) -> bool:
    """Whether the energy itself is bought at the spot price."""
    if isinstance(reader.raw("energy"), str):
        reader.text("energy", one_of=(_SPOT_AND_GRID,))
        return True
    return False


def charges(
    reader: Reader, holiday_rules: tuple[str, ...], sources: dict[str, SeriesSource], spot: str
) -> list[EnergyCharge]:
    """The charges of import that these forms say."""
    found: list[EnergyCharge] = []
    if reader.has("import"):
        found.append(_import(reader, sources, spot))
    if reader.has("peak_periods"):
        found.append(EnergyCharge("energy", "energy", _two_prices(reader)))
    if reader.has("seasons") or reader.has("on_peak"):
        rates = _seasonal(reader)
        check_rates(reader.at("energy"), rates, with_holidays=bool(holiday_rules))
        found.append(EnergyCharge("energy", "energy", tuple(rates)))
    return found


def export(
    reader: Reader, charges_of_import: tuple[EnergyCharge, ...], sources: dict[str, SeriesSource], spot: str
) -> tuple[EnergyCharge, ...]:
    """What these forms say that export earns."""
    if not reader.has("export"):
        return ()
    value = reader.raw("export")
    if isinstance(value, dict):
        source = _source(reader.child("export"), EXPORT)
        sources[EXPORT] = source
        return (EnergyCharge("export", "export", series=EXPORT),)
    if isinstance(value, str):
        if value == spot:
            sources.setdefault(spot, SeriesSource(spot))
            return (EnergyCharge("export", "export", series=spot),)
        if value.startswith("net metering at the energy rate"):
            energy = [one for one in charges_of_import if one.kind == "energy"]
            return tuple(replace(one, name="export", kind="export") for one in energy)
        if re.match(r"0(\s|$)", value):
            return ()
    price = decimal(value)
    if price is None:
        allowed = f'a number, "0", "{spot}", "net metering at the energy rate of the period", '
        raise reader.wrong("export", allowed + "{series, column}, or a list of charges")
    return (EnergyCharge("export", "export", (Rate(When(), price),)),)


def demand(reader: Reader) -> tuple[DemandCharge, ...]:
    """One demand charge whose basis is in words; several where its price changes by season."""
    one = reader.child("demand")
    one.notes("unit")
    basis = one.text("basis")
    if on_peak := _ON_PEAK.fullmatch(basis):
        found = _seasonal_demand(reader, one, int(on_peak[1]))
    elif interval := _INTERVAL.fullmatch(basis):
        found = _interval_demand(one, interval)
    elif daily := _DAILY.fullmatch(basis):
        steps = _fees(one)
        found = [DemandCharge("demand", 60, steps=steps, top_days=max(1, int(daily[1])))]
    else:
        raise one.wrong("basis", _BASES)
    one.finish()
    return tuple(found)


def _import(reader: Reader, sources: dict[str, SeriesSource], spot: str) -> EnergyCharge:
    if isinstance(reader.raw("import"), dict):
        sources[spot] = _source(reader.child("import"), spot)
        return EnergyCharge(spot, "energy", series=spot)
    return EnergyCharge("energy", "energy", (Rate(When(), reader.number("import")),))


def _source(reader: Reader, name: str) -> SeriesSource:
    reader.notes("note")
    column = reader.text("column") if reader.has("column") else None
    source = SeriesSource(name, reader.text("series"), column)
    reader.finish()
    return source


def _two_prices(reader: Reader) -> tuple[Rate, ...]:
    peak, off = reader.number("import_peak"), reader.number("import_offpeak")
    ranges = _ranges(reader, "peak_periods")
    rates = [Rate(When(from_s=a, to_s=b), peak, "peak") for a, b in ranges]
    return (*rates, Rate(When(), off, "off-peak"))


def _seasonal(reader: Reader) -> list[Rate]:
    seasons, peak, energy = reader.child("seasons"), reader.child("on_peak"), reader.child("energy")
    rates: list[Rate] = []
    for season, months in _seasons(reader, seasons).items():
        prices = energy.child(season)
        on = prices.number("on")
        rates += [Rate(window, on, f"{season} on-peak") for window in _windows(peak, season, months)]
        rates.append(Rate(When(months=months), prices.number("off"), f"{season} off-peak"))
        prices.finish()
    peak.notes("note")
    peak.finish()
    energy.finish()
    return rates


def _seasons(reader: Reader, seasons: Reader) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    names = reader.raw("seasons")
    for name in names if isinstance(names, dict) else ():
        found[name] = seasons.months(name)
    if sorted(month for months in found.values() for month in months) != sorted(MONTHS):
        raise TariffError(
            reader.at("seasons"), found=shortened(names), allowed="each month in exactly one season"
        )
    return found


def _windows(peak: Reader, season: str, months: frozenset[int]) -> list[When]:
    days = _PEAK_DAYS[peak.text("days", "all", one_of=_PEAK_DAYS)]
    return [When(months, days, a, b) for a, b in _ranges(peak, season)]


def _ranges(reader: Reader, key: str) -> list[tuple[int, int]]:
    """A list of `[from, to]`."""
    found: list[tuple[int, int]] = []
    for number, one in enumerate(reader.listed(key)):
        ends = [clock_s(end) for end in one] if isinstance(one, list) else []
        setting = f"{reader.at(key)}[{number}]"
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            raise TariffError(setting, found=shortened(one), allowed='two times, such as ["13:00", "20:00"]')
        check_range(setting, ends[0], ends[1])
        found.append((ends[0] % DAY_S, ends[1] or DAY_S))
    if not found:
        raise reader.wrong(key, "at least one range of the clock")
    return found


def _seasonal_demand(reader: Reader, one: Reader, minutes: int) -> list[DemandCharge]:
    if minutes == 0 or 60 % minutes:
        raise one.wrong("basis", STRETCHES)
    if not reader.has("seasons"):
        raise TariffError(
            reader.at("seasons"), found="nothing", allowed="seasons, for a demand charge on-peak"
        )
    peak = reader.child("on_peak")
    widths = one.listed("tiers_kw")
    found: list[DemandCharge] = []
    for season, months in _seasons(reader, reader.child("seasons")).items():
        windows = tuple(_windows(peak, season, months))
        prices = _block_prices(one, season, widths)
        found.append(DemandCharge(f"demand, {season}", minutes, windows, months, prices))
    return found


def _block_prices(one: Reader, season: str, widths: list[object]) -> tuple[tuple[Decimal, Decimal], ...]:
    """Widths of blocks and their prices as pairs of a power and the price above it."""
    sizes = [decimal(width) for width in widths]
    if not sizes or sizes[-1] is not None or any(size is None or size <= 0 for size in sizes[:-1]):
        raise one.wrong("tiers_kw", "widths > 0 in kW, then null for the rest")
    starts = [sum((size for size in sizes[:at] if size is not None), Decimal(0)) for at in range(len(sizes))]
    return tuple(zip(starts, _not_falling(one, season, len(starts)), strict=True))


def _not_falling(one: Reader, key: str, count: int) -> list[Decimal]:
    values = [decimal(value) for value in one.listed(key)]
    amounts = [value for value in values if value is not None]
    if (
        len(values) != count
        or len(amounts) != count
        or amounts != sorted(amounts)
        or min(amounts, default=0) < 0
    ):
        raise one.wrong(key, f"{count} numbers >= 0 that do not fall")
    return amounts


def _interval_demand(one: Reader, words: re.Match[str]) -> list[DemandCharge]:
    minutes = stretch_minutes(one, 30)
    from_s, to_s = (clock_s(words[1]), clock_s(words[2])) if words[1] else (0, DAY_S)
    if from_s is None or to_s is None:
        raise one.wrong("basis", 'times of the clock from "00:00" to "24:00"')
    check_range(one.at("basis"), from_s, to_s)
    window = When(days=_WORK if words[3] else DAYS, from_s=from_s % DAY_S, to_s=to_s or DAY_S)
    if not one.has("value_per_kw_day"):
        return [
            DemandCharge("demand", minutes, (window,), prices=((Decimal(0), one.number("value", low=0)),))
        ]
    found: list[DemandCharge] = []
    values = one.child("value_per_kw_day")
    names = one.raw("value_per_kw_day")
    for name in names if isinstance(names, dict) else ():
        price = values.number(name, low=0)
        charge = DemandCharge(f"demand, {name}", minutes, (window,), _span(values, name), per="day")
        found.append(replace(charge, prices=((Decimal(0), price),)))
    billed = [month for charge in found for month in charge.months]
    if sorted(billed) != sorted(MONTHS):
        raise one.wrong("value_per_kw_day", "each month in exactly one range")
    return found


def _span(reader: Reader, name: str) -> frozenset[int]:
    """`Dec-Mar` as months."""
    first, _, last = name.partition("-")
    if first not in _MONTH_NAMES or last not in _MONTH_NAMES:
        raise reader.wrong(name, "months by name, such as Dec-Mar, as the key")
    start, end = _MONTH_NAMES.index(first), _MONTH_NAMES.index(last)
    return frozenset((start + at) % 12 + 1 for at in range((end - start) % 12 + 1))


def _fees(one: Reader) -> tuple[tuple[Decimal, Decimal], ...]:
    """Upper ends of tiers and their fees as pairs of a power and the fee above it."""
    uppers = _not_falling(one, "tier_upper_kw", len(one.listed("tier_upper_kw")))
    if not uppers or len(set(uppers)) != len(uppers) or uppers[0] <= 0:
        raise one.wrong("tier_upper_kw", "numbers > 0 that rise")
    fees = _not_falling(one, "tier_cost_per_month", len(uppers))
    return tuple(zip((Decimal(0), *uppers[:-1]), fees, strict=True))
