"""Reads the values of a parsed JSON object one by one; what is wrong is named by its path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from ores.tariff.model import DAY_S, DAYS, HOLIDAY, MONTHS, TariffError, When

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
_DAY_SETS = {"all": DAYS, "weekday": frozenset(range(5)), "weekend": frozenset({5, 6, HOLIDAY})}
_DAYS_ALLOWED = f"one of {', '.join(_DAY_SETS)}, or a list of {', '.join(_DAY_NAMES)}"
STRETCHES = "minutes that divide an hour, such as 15, 30 or 60"
_LARGEST = Decimal(1_000_000)


class Reader:
    """One object of a file. Ask for its fields, then call `finish` to refuse those nobody asked for.

    Args:
        value: What was found.
        path: Where.

    Raises:
        TariffError: It is not an object.
    """

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise TariffError(path or "tariff", found=shortened(value), allowed="an object")
        self._fields: dict[str, object] = {str(key): one for key, one in value.items()}
        self._asked: set[str] = set()
        self.path = path

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether a field is there; it counts as known from now on."""
        self._asked.add(key)
        return key in self._fields

    def raw(self, key: str) -> object:
        """A field as it is; None where it is absent."""
        self._asked.add(key)
        return self._fields.get(key)

    def wrong(self, key: str, allowed: str) -> TariffError:
        """The error to raise about a field."""
        found = shortened(self._fields[key]) if key in self._fields else "nothing"
        return TariffError(self.at(key), found=found, allowed=allowed)

    def text(self, key: str, default: str | None = None, one_of: Iterable[str] = ()) -> str:
        """A text that is not empty; required where there is no default."""
        value = self.raw(key) if self.has(key) else default
        choices = tuple(one_of)
        if not isinstance(value, str) or not value.strip() or (choices and value not in choices):
            raise self.wrong(key, f"one of {', '.join(choices)}" if choices else "a text")
        return value

    def number(
        self,
        key: str,
        default: Decimal | None = None,
        *,
        low: Decimal | int = -_LARGEST,
        high: Decimal | int = _LARGEST,
    ) -> Decimal:
        """A finite number between bounds; required where there is no default."""
        if not self.has(key) and default is not None:
            return default
        value = decimal(self.raw(key))
        if value is None or not low <= value <= high:
            raise self.wrong(key, f"a number from {low} to {high}")
        return value

    def optional_number(self, key: str) -> Decimal | None:
        """A number, or None where the field is absent."""
        return self.number(key) if self.has(key) else None

    def whole(self, key: str, default: int, *, low: int, high: int) -> int:
        """A whole number between bounds."""
        value = self.number(key, Decimal(default), low=low, high=high)
        if value != int(value):
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return int(value)

    def child(self, key: str) -> Reader:
        """A field that is an object; required."""
        self._asked.add(key)
        return Reader(self._fields.get(key), self.at(key))

    def listed(self, key: str) -> list[object]:
        """A field that is a list, empty where it is absent."""
        value = self.raw(key) if self.has(key) else []
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return list(value)

    def children(self, key: str) -> list[Reader]:
        """A field that is a list of objects, empty where it is absent."""
        return [Reader(one, f"{self.at(key)}[{number}]") for number, one in enumerate(self.listed(key))]

    def months(self, key: str = "months") -> frozenset[int]:
        """A list of months; all where it is absent."""
        if not self.has(key):
            return MONTHS
        found = self.listed(key)
        if not found or any(isinstance(one, bool) or one not in MONTHS for one in found):
            raise self.wrong(key, "a list of whole numbers from 1 to 12")
        return frozenset(int(str(one)) for one in found)

    def days(self, key: str = "days") -> frozenset[int]:
        """Kinds of day; all where it is absent."""
        value = self.raw(key) if self.has(key) else "all"
        if isinstance(value, str) and value in _DAY_SETS:
            return _DAY_SETS[value]
        if isinstance(value, list) and value and all(one in _DAY_NAMES for one in value):
            return frozenset(_DAY_NAMES.index(one) for one in value)
        raise self.wrong(key, _DAYS_ALLOWED)

    def clock(self, key: str, default: int) -> int:
        """A time of the clock in s of the day; 24:00 is its end."""
        if not self.has(key):
            return default
        value = clock_s(self.raw(key))
        if value is None:
            raise self.wrong(key, 'a time of the clock from "00:00" to "24:00"')
        return value

    def when(self) -> When:
        """Months, days and a range of the clock: `months`, `days`, `from`, `to`."""
        from_s, to_s = self.clock("from", 0), self.clock("to", DAY_S)
        check_range(self.at("to"), from_s, to_s)
        return When(self.months(), self.days(), from_s % DAY_S, to_s or DAY_S)

    def notes(self, *keys: str) -> None:
        """Fields for people, whatever they say."""
        self._asked.update(keys)

    def finish(self) -> None:
        """Refuse fields that nobody asked for.

        Raises:
            TariffError: There is one.
        """
        for key in self._fields:
            if key not in self._asked:
                allowed = f"one of {', '.join(sorted(self._asked))}"
                raise TariffError(self.at(key), found=shortened(self._fields[key]), allowed=allowed)


def decimal(value: object) -> Decimal | None:
    """A finite number as it was written, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def clock_s(value: object) -> int | None:
    """`17:30` in s of the day, or None."""
    if value == "24:00":
        return DAY_S
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60


def check_range(setting: str, from_s: int, to_s: int) -> None:
    """Refuse a range of the clock that is empty.

    Raises:
        TariffError: It is.
    """
    if from_s == to_s:
        found = f"{to_s // 3600:02d}:{to_s // 60 % 60:02d}"
        raise TariffError(
            setting, found=found, allowed="another time than `from`; a whole day is 00:00 to 24:00"
        )


def stretch_minutes(reader: Reader, default: int) -> int:
    """The length of the stretches whose mean is a demand: `minutes`."""
    minutes = reader.whole("minutes", default, low=1, high=60)
    if 60 % minutes:
        raise reader.wrong("minutes", STRETCHES)
    return minutes


def shortened(value: object) -> str:
    """A value for an error message."""
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 80 else text[:77] + "..."
