"""Reads tariffs from the parsed JSON of a tariff file: the only way into `ores.tariff.model`.

A file is `{"tariffs": [tariff, …]}`. A tariff is an object:

| field | meaning |
|---|---|
| `id`, `currency`, `time_zone` | required: a name, three letters, an IANA time zone |
| `holidays` | list: `"12-25"`, `"07-04+mon"`, `"4 thu 11"`, `"last mon 05"`, `"easter+1"`, `"2026-06-22"` |
| `rates` | the energy price: a list of `{months, days, from, to, import, name}`; the first that fits counts |
| `charges` | more parts of the price of import: `{name, kind, rates, series, factor, floor, cap, zone}` |
| `tiers` | `{name, kind, beyond_kwh or beyond_kwh_per_day, extra, months, days, from, to}` |
| `export` | a number, `"spot"`, a list of charges, or `{series, column}` |
| `demand` | a list of `{name, minutes, windows, months, price or prices or steps, per, top_days, …}` |
| `fixed_per_month`, `fixed_per_day` | amounts; or `fixed`: a list of `{name, amount, per}` |
| `taxes` | `{name, share, on}`: shares of other lines of the bill |
| `source`, `confidence`, `note` | for people |

In `rates`, the price is called `import`; in the rates of a charge, `price`. Everything about hours
(`months`, `days`, `from`, `to`) may be left out and means always then. `days` is `all`, `weekday`, `weekend`
or a list of `mon` to `sun` and `holiday`; a holiday counts as weekend, and as none of `mon` to `sun`. A
clock range includes its start and excludes its end; it may pass midnight.

The price of import is the sum of the charges; a charge is `factor` × series + rate, not below `floor` nor
above `cap`. `kind` is `energy` (the default), `grid` or `levy`. A charge with a `zone` counts only in that
zone. A demand charge has one `price` per kW; or `prices`, a list of `{above_kw, price}` from 0 up; or
`steps`, a list of `{above_kw, fee}`; and may have `minimum_kw` and `ratchet`: `{share, months}`. Some shorter
forms are understood as well: see `ores.tariff.shorthand`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from ores.tariff import shorthand
from ores.tariff.calendar import HOLIDAY_FORMS, check_holiday
from ores.tariff.coverage import check_rates
from ores.tariff.model import (
    DemandCharge,
    EnergyCharge,
    FixedCharge,
    Kind,
    Per,
    Rate,
    SeriesSource,
    Tariff,
    TariffError,
    Tax,
    Tier,
    When,
)
from ores.tariff.reader import Reader, shortened, stretch_minutes

SPOT = "spot"
_IMPORT_KINDS = ("energy", "grid", "levy")
_KINDS = (*_IMPORT_KINDS, "demand", "fixed", "export")


def tariffs(document: object, *, zone: str | None = None) -> dict[str, Tariff]:
    """All tariffs of a file, by id.

    Args:
        document: The parsed JSON of the file.
        zone: The grid or price zone of the home, where charges depend on it.

    Raises:
        TariffError: Something in it is not as it must be; names the field.
    """
    reader = Reader(document, "")
    reader.notes("schema", "note", "source")
    found: dict[str, Tariff] = {}
    for number, one in enumerate(reader.listed("tariffs")):
        made = tariff(one, zone=zone, path=f"tariffs[{number}]")
        if made.id in found:
            raise TariffError(
                f"tariffs[{number}].id", found=made.id, allowed="an id of its own for each tariff"
            )
        found[made.id] = made
    reader.finish()
    return found


def tariff(document: object, *, zone: str | None = None, path: str = "") -> Tariff:
    """One tariff.

    Args:
        document: The parsed JSON of the tariff.
        zone: As in `tariffs`.
        path: Where it stands, for errors.

    Raises:
        TariffError: Something in it is not as it must be; names the field.
    """
    reader = Reader(document, path)
    reader.notes("source", "confidence", "note")
    holidays = _holidays(reader)
    sources: dict[str, SeriesSource] = {}
    charges = _charges(reader, holidays, sources, zone)
    made = Tariff(
        id=reader.text("id"),
        currency=_currency(reader),
        time_zone=_time_zone(reader),
        charges=charges,
        export=_export(reader, charges, holidays, sources, zone),
        tiers=tuple(_tier(one) for one in reader.children("tiers")),
        demand=_demand(reader),
        fixed=_fixed(reader),
        taxes=tuple(_tax(one) for one in reader.children("taxes")),
        holidays=holidays,
        series=tuple(sources.values()),
    )
    reader.finish()
    return made


def _currency(reader: Reader) -> str:
    text = reader.text("currency")
    if len(text) != 3 or not text.isascii() or not text.isupper():
        raise reader.wrong("currency", "three capital letters of ISO 4217, such as EUR")
    return text


def _time_zone(reader: Reader) -> str:
    text = reader.text("time_zone")
    try:
        ZoneInfo(text)
    except (
        OSError,
        ValueError,
        KeyError,
    ) as error:  # zoneinfo raises each of them for names that it does not know
        raise reader.wrong("time_zone", "an IANA time zone such as Europe/Berlin") from error
    return text


def _holidays(reader: Reader) -> tuple[str, ...]:
    if not reader.has("holidays"):
        return shorthand.holidays(reader)
    rules = reader.listed("holidays")
    for number, rule in enumerate(rules):
        setting = f"{reader.at('holidays')}[{number}]"
        if not isinstance(rule, str):
            raise TariffError(setting, found=shortened(rule), allowed=HOLIDAY_FORMS)
        check_holiday(setting, rule)
    return tuple(str(rule) for rule in rules)


def _charges(
    reader: Reader, holidays: tuple[str, ...], sources: dict[str, SeriesSource], zone: str | None
) -> tuple[EnergyCharge, ...]:
    found: list[EnergyCharge] = []
    if reader.has("rates"):
        spot = shorthand.names_spot(reader)
        rates = _rates(reader, "import", holidays)
        found.append(EnergyCharge("grid energy" if spot else "energy", "grid" if spot else "energy", rates))
        if spot:
            found.insert(0, EnergyCharge(SPOT, "energy", series=SPOT))
            sources.setdefault(SPOT, SeriesSource(SPOT))
    found += shorthand.charges(reader, holidays, sources, SPOT)
    more = _zoned(reader, "charges", zone, holidays)
    found += more
    _need(more, sources)
    if not found:
        raise reader.wrong("rates", "a price of import: `rates`, `charges` or `import`")
    return tuple(found)


def _zoned(reader: Reader, key: str, zone: str | None, holidays: tuple[str, ...]) -> list[EnergyCharge]:
    """The charges of a list that count in this zone."""
    kinds = ("export",) if key == "export" else _IMPORT_KINDS
    read = [(_charge(one, kinds, holidays), one) for one in reader.children(key)]
    zones = sorted({one.text("zone") for _, one in read if one.has("zone")})
    if zones and zone not in zones:
        raise TariffError("zone", found=zone, allowed=f"one of {', '.join(zones)}, as in {reader.at(key)}")
    return [charge for charge, one in read if not one.has("zone") or one.text("zone") == zone]


def _need(charges: list[EnergyCharge], sources: dict[str, SeriesSource]) -> None:
    """Note the series that these charges follow."""
    for charge in charges:
        if charge.series is not None:
            sources.setdefault(charge.series, SeriesSource(charge.series))


def _charge(reader: Reader, kinds: tuple[str, ...], holidays: tuple[str, ...]) -> EnergyCharge:
    if reader.has("zone"):
        reader.text("zone")
    series = reader.text("series") if reader.has("series") else None
    rates = _rates(reader, "price", holidays) if reader.has("rates") or series is None else ()
    floor, cap = reader.optional_number("floor"), reader.optional_number("cap")
    if floor is not None and cap is not None and floor > cap:
        raise reader.wrong("floor", f"at most the cap, {cap}")
    if series is None and reader.has("factor"):
        raise reader.wrong("factor", "a factor only where there is a `series`")
    kind = cast("Kind", reader.text("kind", kinds[0], kinds))
    factor = reader.number("factor", Decimal(1))
    charge = EnergyCharge(reader.text("name", kind), kind, rates, series, factor, floor, cap)
    reader.finish()
    return charge


def _rates(reader: Reader, price: str, holidays: tuple[str, ...]) -> tuple[Rate, ...]:
    found: list[Rate] = []
    for one in reader.children("rates"):
        name = one.text("name") if one.has("name") else ""
        found.append(Rate(one.when(), one.number(price), name))
        one.finish()
    check_rates(reader.at("rates"), found, with_holidays=bool(holidays))
    return tuple(found)


def _export(
    reader: Reader,
    charges: tuple[EnergyCharge, ...],
    holidays: tuple[str, ...],
    sources: dict[str, SeriesSource],
    zone: str | None,
) -> tuple[EnergyCharge, ...]:
    if not isinstance(reader.raw("export"), list):
        return shorthand.export(reader, charges, sources, SPOT)
    found = _zoned(reader, "export", zone, holidays)
    _need(found, sources)
    return tuple(found)


def _tier(reader: Reader) -> Tier:
    per_day = reader.has("beyond_kwh_per_day")
    key = "beyond_kwh_per_day" if per_day else "beyond_kwh"
    beyond = reader.number(key, low=0)
    kind = cast("Kind", reader.text("kind", "energy", _IMPORT_KINDS))
    name = reader.text("name", f"energy beyond {beyond} kWh{' a day' if per_day else ''}")
    tier = Tier(name, kind, beyond, reader.number("extra"), per_day, reader.when())
    reader.finish()
    return tier


def _demand(reader: Reader) -> tuple[DemandCharge, ...]:
    if reader.has("demand") and not isinstance(reader.raw("demand"), list):
        return shorthand.demand(reader)
    return tuple(_demand_charge(one) for one in reader.children("demand"))


def _demand_charge(reader: Reader) -> DemandCharge:
    forms = [key for key in ("price", "prices", "steps") if reader.has(key)]
    if not forms or {"price", "prices"} <= set(forms):
        allowed = "`price`, `prices` or `steps`, and not both of the first two"
        raise TariffError(reader.path, found=", ".join(forms) or "no price", allowed=allowed)
    prices = (
        ((Decimal(0), reader.number("price", low=0)),)
        if "price" in forms
        else _rising(reader, "prices", "price")
    )
    minutes = stretch_minutes(reader, 60)
    ratchet = reader.child("ratchet") if reader.has("ratchet") else Reader({}, reader.at("ratchet"))
    charge = DemandCharge(
        name=reader.text("name", "demand"),
        minutes=minutes,
        windows=tuple(_window(one) for one in reader.children("windows")) or (When(),),
        months=reader.months(),
        prices=prices,
        steps=_rising(reader, "steps", "fee"),
        per=cast("Per", reader.text("per", "month", ("month", "day"))),
        top_days=reader.whole("top_days", 1, low=1, high=28),
        minimum_kw=reader.number("minimum_kw", Decimal(0), low=0),
        ratchet_share=ratchet.number("share", None if reader.has("ratchet") else Decimal(0), low=0, high=1),
        ratchet_months=ratchet.whole("months", 11 if reader.has("ratchet") else 0, low=0, high=36),
    )
    ratchet.finish()
    reader.finish()
    return charge


def _window(reader: Reader) -> When:
    when = reader.when()
    reader.finish()
    return when


def _rising(reader: Reader, key: str, price: str) -> tuple[tuple[Decimal, Decimal], ...]:
    """Pairs of a power and a price or fee, from 0 up; a charge that falls with the peak is refused."""
    found: list[tuple[Decimal, Decimal]] = []
    for one in reader.children(key):
        low = found[-1] if found else (Decimal(0), Decimal(0))
        above_kw, amount = one.number("above_kw", low=low[0]), one.number(price, low=low[1])
        if (above_kw == low[0]) == bool(found):
            raise one.wrong("above_kw", f"more than {low[0]}" if found else "0, for the first")
        found.append((above_kw, amount))
        one.finish()
    return tuple(found)


def _fixed(reader: Reader) -> tuple[FixedCharge, ...]:
    pers: tuple[Per, ...] = ("month", "day")
    given = [per for per in pers if reader.has(f"fixed_per_{per}")]
    found = [FixedCharge("fixed", reader.number(f"fixed_per_{per}"), per) for per in given]
    for one in reader.children("fixed"):
        per = one.text("per", one_of=pers)
        found.append(FixedCharge(one.text("name", "fixed"), one.number("amount"), cast("Per", per)))
        one.finish()
    return tuple(found)


def _tax(reader: Reader) -> Tax:
    on: Iterable[object] = (
        reader.listed("on") if reader.has("on") else ("energy", "grid", "levy", "demand", "fixed")
    )
    if not all(one in _KINDS for one in on):
        raise reader.wrong("on", f"a list of {', '.join(_KINDS)}")
    tax = Tax(
        reader.text("name", "tax"),
        reader.number("share", low=0, high=10),
        frozenset(cast("Iterable[Kind]", on)),
    )
    reader.finish()
    return tax
