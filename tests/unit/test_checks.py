"""What shows nothing, and what lets a text look like another one."""

import sys
import unicodedata

from leasehold.model import checks

SHOWN_FORMATS = set(map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2)))
SHOWN_FORMATS |= {"\U000110bd", "\U000110cd"}
"""Of category Cf, and signs with a shape nevertheless: number signs, and the end of a verse."""
BLANKS = set("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180f\u2065\u2800\u3164\ufe00\ufe0f\uffa0\ufff0")
BLANKS |= set("\U00013441\U0001d159\U000e0000\U000e0100\U000e0fff")
"""Of other categories, and without a shape."""


def test_blank_is_what_shows_nothing() -> None:
    """White space, controls, signs that only format, default-ignorables and blank letters."""
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    blank = {character for character in every if checks.is_blank(character)}
    without_shape = {"Cc", "Cf", "Zl", "Zp", "Zs"}
    by_category = {each for each in every if unicodedata.category(each) in without_shape}

    assert by_category - SHOWN_FORMATS | BLANKS <= blank
    assert not SHOWN_FORMATS & blank
    shown = {each for each in blank - by_category if unicodedata.category(each) != "Cn"}
    assert all(0xE0100 <= ord(each) <= 0xE01EF or _is_named_blank(each) for each in shown)
    assert checks.is_blank("".join(blank))
    assert not checks.is_blank("\u200b.\u3164")


def _is_named_blank(character: str) -> bool:
    words = ("FILLER", "BLANK", "VARIATION SELECTOR", "NULL NOTEHEAD", "JOINER", "INHERENT VOWEL")
    return any(word in unicodedata.name(character) for word in words) or character in "\u17b4\u17b5"


def test_overrides_are_refused_where_ids_are_made_and_not_where_they_are_read() -> None:
    """A stored id must be named to be read, cancelled or released; no other id may look like it."""
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A)):
        value = f"salon{chr(code)}1"
        refused = "contains characters that change the direction of text"
        assert checks.new_id_fault(value) == checks.new_optional_id_fault(value) == refused
        assert checks.reason_fault(value) == refused
        assert checks.id_fault(value) is checks.optional_id_fault(value) is None
    # Marks of direction belong to words of right-to-left scripts, and override nothing.
    assert checks.new_id_fault("\u05d0\u200f1") is None
