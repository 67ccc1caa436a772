"""The layout of records: which ones this release may read.

Scripts judge by the same rule (lua/include/knows_layout.lua). When ``v`` rises is told in
docs/development.md.
"""

from leasehold.model.errors import StoreTrouble, StoreUnavailableError

FIELD = "v"
"""The field of every record that says how the others are meant."""
_KNOWN = (None, "1")


def knows(v: str | None) -> bool:
    """Tell whether a record of this layout may be read; None where there is no record."""
    return v in _KNOWN


def require(v: str | None) -> None:
    """Raise StoreUnavailableError for a layout that only a later release knows."""
    if not knows(v):
        raise StoreUnavailableError(StoreTrouble.LAYOUT_UNKNOWN)
