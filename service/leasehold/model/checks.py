"""Checks of single values. Each answers with what is wrong, or with None.

Source: contract 6.2, "Ids and tokens" and "Slot times"; 2.5 for names.
"""

import re

MAX_ID_BYTES = 255
MAX_TAG_BYTES = 1024
MAX_TEXT_BYTES = 4096
MAX_REASON_BYTES = 200
MAX_NAME_CHARACTERS = 40
MAX_REQUEST_BYTES = 64 * 1024
MAX_OPERATOR_REQUEST_BYTES = 4 * 1024 * 1024
LONGEST_SLOT_S = 366 * 86_400
"""What may be stored: no setting allows longer slots."""

_MAIL_ADDRESS = re.compile(r"\S@\S")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BESIDE_TABS_AND_LINE_ENDS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# They let a text look like another one in logs and tables.
_OVERRIDES = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
# Unicode's white space, controls and default-ignorable characters, signs that only format, and what
# fonts leave blank beside them: Braille without dots, a note without a head, blank hieroglyphs.
_VISIBLE = re.compile(
    r"[^\s\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U00013430-\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]"
)


def new_id_fault(value: str) -> str | None:
    """Check an id, reference or token that must be there and that a request or feed may make."""
    return id_fault(value) or _override_fault(value)


def new_optional_id_fault(value: str) -> str | None:
    """Check an id that may be empty and that a request or feed may make."""
    return optional_id_fault(value) or _override_fault(value)


def id_fault(value: str) -> str | None:
    """Check an id, reference or token that must be there, and may name what is stored."""
    return optional_id_fault(value) if value else "is required"


def optional_id_fault(value: str) -> str | None:
    """Check an id that may be empty."""
    # What nearly every id is like, told without encoding it or looking at each character.
    if len(value) <= MAX_ID_BYTES and value.isascii() and value.isprintable():
        return None
    if len(value.encode()) > MAX_ID_BYTES:
        return f"is longer than {MAX_ID_BYTES} bytes of UTF-8"
    if _CONTROL_CHARACTERS.search(value):
        return "contains control characters"
    return None


def _override_fault(value: str) -> str | None:
    if not value.isascii() and _OVERRIDES.search(value):
        return "contains characters that change the direction of text"
    return None


def tag_fault(value: str) -> str | None:
    """Check an availability tag, which is opaque."""
    if len(value.encode()) > MAX_TAG_BYTES:
        return f"is longer than {MAX_TAG_BYTES} bytes of UTF-8"
    return None


def name_fault(value: str) -> str | None:
    """Check a person's given or family name, which must be there."""
    if len(value) > MAX_NAME_CHARACTERS:
        return f"is longer than {MAX_NAME_CHARACTERS} characters"
    return line_fault(value, required=True)


def reason_fault(value: str) -> str | None:
    """Check why somebody did something; it goes into the log, where no person is named."""
    if len(value.encode()) > MAX_REASON_BYTES:
        return f"is longer than {MAX_REASON_BYTES} bytes of UTF-8"
    if _MAIL_ADDRESS.search(value):
        return "holds what looks like an e-mail address"
    return line_fault(value, required=True) or _override_fault(value)


def line_fault(value: str, *, required: bool = False) -> str | None:
    """Check what somebody entered in one line of a form."""
    if required and is_blank(value):
        return "is blank" if value else "is required"
    if _CONTROL_CHARACTERS.search(value):
        return "contains control characters"
    return text_fault(value)


def is_blank(value: str) -> bool:
    """Tell whether there is nothing to see."""
    return not _VISIBLE.search(value)


def words_fault(value: str) -> str | None:
    """Check what somebody wrote in as many lines as they liked."""
    if _BESIDE_TABS_AND_LINE_ENDS.search(value):
        return "contains control characters"
    return text_fault(value)


def text_fault(value: str) -> str | None:
    """Check text that is nobody's to read here."""
    if len(value.encode()) > MAX_TEXT_BYTES:
        return f"is longer than {MAX_TEXT_BYTES} bytes of UTF-8"
    return None


def duration_fault(duration_s: int, max_duration_s: float) -> str | None:
    """Check the length of a slot."""
    if duration_s <= 0:
        return "must be longer than zero"
    if duration_s > max_duration_s:
        return f"must be at most {max_duration_s:.0f} seconds"
    return None


def party_size_fault(party_size: int) -> str | None:
    """Check the size of a party; zero means that none was named."""
    return "must not be negative" if party_size < 0 else None
