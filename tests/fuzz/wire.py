"""Changes the bytes of a message in the ways in which clients and networks spoil them."""

import random
from collections.abc import Callable, Iterator

Chance = random.Random
_LENGTH_DELIMITED = 2
_NOT_UTF_8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80")
_HUGE = (
    b"\xff" * 9 + b"\x01",
    b"\xff" * 10 + b"\x01",
    b"\x80" * 9 + b"\x02",
    b"\xff" * 40,
    b"\x80" * 4 + b"\x00",
)
_LONG = 70_000


def fields(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield where each field begins, where its value does and where it ends, and its wire type.

    Stops where the bytes are no message any more.
    """
    place = 0
    while place < len(raw):
        begin = place
        tag, place = _varint(raw, place)
        kind = tag & 7
        value = place
        if kind == 0:
            _, place = _varint(raw, place)
        elif kind == _LENGTH_DELIMITED:
            length, value = _varint(raw, place)
            place = value + length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            return
        if place > len(raw):
            return
        yield begin, value, place, kind


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while place < len(raw):
        byte = raw[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    return number, len(raw) + 1


def _encoded(number: int) -> bytes:
    parts = []
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))


def _cut(raw: bytes, chance: Chance) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _flip(raw: bytes, chance: Chance) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _replace(raw: bytes, chance: Chance) -> bytes:
    place = chance.randrange(len(raw) + 1)
    return raw[:place] + chance.randbytes(chance.choice((1, 2, 5))) + raw[place + 1 :]


def _insert_huge(raw: bytes, chance: Chance) -> bytes:
    place = chance.randrange(len(raw) + 1)
    return raw[:place] + chance.choice(_HUGE) + raw[place:]


def _repeat(raw: bytes, chance: Chance) -> bytes:
    """Send a field again: the last one counts, or messages are merged."""
    found = list(fields(raw))
    if not found:
        return raw * 2
    begin, _, end, _ = chance.choice(found)
    return raw + raw[begin:end] * chance.choice((1, 2, 50))


def _leave_out(raw: bytes, chance: Chance) -> bytes:
    found = list(fields(raw))
    if not found:
        return b""
    begin, _, end, _ = chance.choice(found)
    return raw[:begin] + raw[end:]


def _change_kind(raw: bytes, chance: Chance) -> bytes:
    """Give a field another wire type, groups and what does not exist among them."""
    found = list(fields(raw))
    if not found:
        return raw
    begin, *_ = chance.choice(found)
    return raw[:begin] + bytes([raw[begin] & 0xF8 | chance.randrange(8)]) + raw[begin + 1 :]


def _lie_about_length(raw: bytes, chance: Chance) -> bytes:
    found = [each for each in fields(raw) if each[3] == _LENGTH_DELIMITED]
    if not found:
        return raw
    begin, value, _, _ = chance.choice(found)
    length = chance.choice((0, 1, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1))
    return raw[: begin + 1] + _encoded(length) + raw[value:]


def _spoil_text(raw: bytes, chance: Chance) -> bytes:
    found = [each for each in fields(raw) if each[3] == _LENGTH_DELIMITED]
    if not found:
        return raw
    begin, value, end, _ = chance.choice(found)
    inside = raw[value:end]
    place = chance.randrange(len(inside) + 1)
    inside = inside[:place] + chance.choice(_NOT_UTF_8) + inside[place:]
    return raw[: begin + 1] + _encoded(len(inside)) + inside + raw[end:]


def _nest(raw: bytes, chance: Chance) -> bytes:
    """Put fields into fields, far deeper than any message goes."""
    number = chance.randrange(1, 12)
    depth = chance.choice((2, 50, 97, 98, 99, 100, 101, 500, 5000))
    if chance.random() < 0.5:
        return raw + bytes([number << 3 | 3]) * depth + bytes([number << 3 | 4]) * depth
    inside = b""
    for _ in range(min(depth, 500)):
        inside = bytes([number << 3 | _LENGTH_DELIMITED]) + _encoded(len(inside)) + inside
    return raw + inside


def _add_unknown(raw: bytes, chance: Chance) -> bytes:
    number = chance.choice((15, 16, 1000, 19_000, 2**29 - 1, 2**29, 2**32))
    return raw + _encoded(number << 3) + _encoded(chance.getrandbits(64))


def _lengthen(raw: bytes, chance: Chance) -> bytes:
    """Go beyond what a request may have."""
    if chance.random() < 0.9:
        return raw
    return raw + _encoded(15 << 3 | _LENGTH_DELIMITED) + _encoded(_LONG) + b"x" * _LONG


def _replace_all(_raw: bytes, chance: Chance) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 3, 20, 200)))


Change = Callable[[bytes, Chance], bytes]
CHANGES: tuple[Change, ...] = (
    _cut,
    _flip,
    _replace,
    _insert_huge,
    _repeat,
    _leave_out,
    _change_kind,
    _lie_about_length,
    _spoil_text,
    _nest,
    _add_unknown,
    _lengthen,
    _replace_all,
)


def spoil(raw: bytes, chance: Chance, times: int) -> bytes:
    """Change a message so many times, at the top or inside one of its parts."""
    for _ in range(times):
        raw = _spoil_within(raw, chance, chance.choice(CHANGES))
    return raw


def _spoil_within(raw: bytes, chance: Chance, change: Change) -> bytes:
    parts = [each for each in fields(raw) if each[3] == _LENGTH_DELIMITED]
    if not parts or chance.random() < 0.4:
        return change(raw, chance)
    begin, value, end, _ = chance.choice(parts)
    inside = _spoil_within(raw[value:end], chance, change)
    return raw[: begin + 1] + _encoded(len(inside)) + inside + raw[end:]
