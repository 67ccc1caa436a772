"""Takes plain values out of one object of a feed, and notes what is wrong with them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from leasehold.feed.members import Form, Members, shown

# Any number that protobuf JSON takes as a text; whether it is whole is looked at then.
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,19})?(?:[eE]\+?[0-9]{1,2})?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)
# The last second of the year 9999, beyond which no calendar goes.
LAST_SECOND = 253_402_300_799
# Floats beyond it are whole for want of digits.
_LARGEST_FLOAT = 2**53


class Reader:
    """Takes values out of an object and notes what is wrong with them.

    Members are asked for by the feed's own names, however they are written.
    """

    def __init__(
        self,
        values: Any,
        members: Members,
        path: str = "",
        faults: dict[str, str] | None = None,
    ) -> None:
        self._faults: dict[str, str] = {} if faults is None else faults
        """What is wrong, by path; of faults that follow from one another the first."""
        self._path = path
        self._values: Mapping[str, Any] = {}
        self._unknown: list[str] = []
        if isinstance(values, Mapping):
            is_plain = values.keys() <= members.own
            self._values = values if is_plain else self._by_own_name(values, members)
        elif values is not None:
            self._faults[path] = "is not an object"

    @property
    def faults(self) -> str:
        """Return everything that is wrong in one line, empty when nothing is."""
        return "; ".join(f"{path} {fault}" for path, fault in self._faults.items())

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong so far."""
        return not self._faults

    def text(self, name: str) -> str:
        """Return a text, or an empty one."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.note(name, "is not a text")
        elif _SURROGATE.search(value):
            self.note(name, "is not Unicode")
        else:
            return value
        return ""

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number of 64 bits."""
        value = self._values.get(name)
        if type(value) is int and value in _INT64:
            return value
        if value is None:
            return default
        if isinstance(value, float | str) and (whole := _whole(value)) is not None:
            value = whole
        if not isinstance(value, int) or isinstance(value, bool):
            self.note(name, "is not a whole number")
        elif value not in _INT64:
            self.note(name, "has more than 64 bits")
        else:
            return value
        return default

    def second(self, name: str) -> int:
        """Return a moment in epoch seconds."""
        value = self.number(name)
        if not 0 <= value <= LAST_SECOND:
            self.note(name, "is not a time between 1970 and 9999")
            return 0
        return value

    def has(self, name: str) -> bool:
        """Tell whether there is such a value."""
        return self._values.get(name) is not None

    def is_empty(self, name: str) -> bool:
        """Tell whether a value is a text without characters."""
        return bool(self._values.get(name) == "")

    def value(self, name: str) -> Any:
        """Return what is there, or None."""
        return self._values.get(name)

    def part(self, name: str, members: Members) -> "Reader":
        """Return a reader of an object within, which notes its faults here."""
        return Reader(self._values.get(name), members, self._path_of(name), self._faults)

    def parts(self, name: str, members: Members) -> list["Reader"]:
        """Return a reader of each object in a list."""
        values = self._values.get(name)
        if values is None:
            return []
        if not isinstance(values, list):
            self.note(name, "is not a list")
            return []
        path = self._path_of(name)
        return [
            Reader(value, members, f"{path}[{at}]", self._faults) for at, value in enumerate(values)
        ]

    def refuse_unknown(self) -> None:
        """Note each member that means nothing, where one may be meant to restrict."""
        for written in self._unknown:
            self.note(shown(written), "is not a member that is known here")

    def note(self, name: str, fault: str | None) -> None:
        """Note a fault, if there is one."""
        path = self._path_of(name)
        if fault and not any(
            path == noted or path.startswith((f"{noted}.", f"{noted}[")) for noted in self._faults
        ):
            self._faults[path] = fault

    def _by_own_name(self, values: Mapping[str, Any], members: Members) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for written, value in values.items():
            name, form = members.meant.get(written, (None, None))
            if name is None:
                self._unknown.append(written)
            elif value is not None:
                taken = self._converted(name, written, value, form)
                if found.setdefault(name, taken) != taken:
                    self.note(name, "is given twice, each time with another value")
        return found

    def _converted(self, name: str, written: str, value: Any, form: Form | None) -> Any:
        if form is None or value == "":
            return value
        number = form.read(value) if isinstance(value, str) else None
        if number is None:
            self.note(name, f"(given as {written}) is not {form.example}")
        return number

    def _path_of(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _whole(value: float | str) -> int | None:
    """Return the whole number that a float or a text stands for, or None."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_FLOAT else None
    if not _NUMBER.fullmatch(value):
        return None
    number = Decimal(value)
    return int(number) if number == number.to_integral_value() else None
