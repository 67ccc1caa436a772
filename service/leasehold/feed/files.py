"""Feed files, JSON or JSON.gz of any size: read twice, never held in memory as a whole.

The first reading finds what the feed is complete for, wherever a file has it, and that every file
can be read to its end. The second one yields the slots. Source: contract 10.1.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import ijson

from leasehold.feed.entries import RESTRICTIONS, Reader, read_entry
from leasehold.model.inventory import FeedError, FeedItem

_GZIP_MAGIC = b"\x1f\x8b"
_ENTRY = "service_availability.item"
_SLOT = f"{_ENTRY}.availability.item"
_RESTRICTED = {f"{_ENTRY}.{name}": name for name in RESTRICTIONS}
_RESTRICTED_RESOURCE = {
    f"{_ENTRY}.resources_restrict.{name}": name for name in ("staff_id", "room_id", "party_size")
}
_METADATA = {
    f"metadata.{name}": name
    for name in ("processing_instruction", "shard_number", "total_shards", "generation_timestamp")
}
_LISTS = ("service_availability", f"{_ENTRY}.availability")
_WITHIN = ("map_key", "end_map", "end_array")
_OF_A_LIST = ("start_array", "end_array", "null")
_SCALARS = ("string", "number", "boolean")
# What producers write for a field without a value.
_UNSET = (None, 0, "0", "")
_COMPLETE = ("", "PROCESS_AS_COMPLETE")


@dataclass(slots=True)
class _Entry:
    """What precedes or follows the slots of one entry."""

    restrictions: dict[str, Any] = field(default_factory=dict)
    count: int = 0


@dataclass(slots=True)
class _File:
    path: Path
    metadata: dict[str, Any] = field(default_factory=dict)
    entries: list[_Entry] = field(default_factory=list)


class Feed:
    """All files of one import: together one feed, whole or in shards."""

    def __init__(self, paths: list[Path], max_slot_s: float) -> None:
        """Read every file once. Raises FeedError, naming the file, for what cannot be a feed."""
        self._files = [_skim(path) for path in paths]
        self._max_slot_s = max_slot_s
        self.generated_at_ms = _agree(self._files)
        self.count = sum(entry.count for file in self._files for entry in file.entries)
        """How many entries there are to read."""

    def items(self) -> Iterator[FeedItem]:
        """Yield what the feed is complete for, its slots, and its faults, with their places."""
        complete: set[str] = set()
        for file in self._files:
            with _opened(file.path) as stream:
                slots = ijson.items(stream, _SLOT, use_float=True)
                for number, entry in enumerate(file.entries):
                    place = f"{file.path}: service_availability[{number}]"
                    of_entry = islice(slots, entry.count)
                    yield from read_entry(
                        entry.restrictions, of_entry, place, complete, self._max_slot_s
                    )


def _skim(path: Path) -> _File:
    file, has_entries = _File(path), False
    with _opened(path) as stream:
        for prefix, event, value in ijson.parse(stream, use_float=True):
            if prefix == _SLOT:
                if event not in _WITHIN:
                    file.entries[-1].count += 1
            elif prefix == _ENTRY and event not in _WITHIN:
                if event != "start_map":
                    raise FeedError(f"{path}: service_availability holds what is not an entry")
                file.entries.append(_Entry())
            elif prefix in _LISTS and event not in _OF_A_LIST:
                raise FeedError(f"{path}: {prefix.replace('.item', '[]')} is not a list")
            elif prefix == "service_availability":
                has_entries = True
            elif event in _SCALARS and value not in _UNSET:
                _note(file, prefix, value)
    if not has_entries:
        raise FeedError(f"{path}: there is no list service_availability")
    return file


def _note(file: _File, prefix: str, value: object) -> None:
    """Keep what is said about a file or about its newest entry."""
    if prefix in _METADATA:
        file.metadata[_METADATA[prefix]] = value
    elif prefix in _RESTRICTED:
        file.entries[-1].restrictions[_RESTRICTED[prefix]] = value
    elif prefix in _RESTRICTED_RESOURCE:
        resources = file.entries[-1].restrictions.setdefault("resources_restrict", {})
        resources[_RESTRICTED_RESOURCE[prefix]] = value


def _agree(files: list[_File]) -> int:
    """Return when the feed was made, in epoch milliseconds; the files must be all of one feed."""
    made, shards, totals = set(), [], set()
    for file in files:
        metadata = Reader(file.metadata)
        made.add(metadata.second("generation_timestamp"))
        shards.append(metadata.number("shard_number"))
        totals.add(metadata.number("total_shards", 1))
        instruction = file.metadata.get("processing_instruction", "")
        if instruction not in _COMPLETE:
            metadata.note("processing_instruction", "is not PROCESS_AS_COMPLETE")
        if not metadata.has("generation_timestamp"):
            metadata.note("generation_timestamp", "is required")
        if metadata.faults:
            faults = "; ".join(f"metadata.{fault}" for fault in metadata.faults)
            raise FeedError(f"{file.path}: {faults}")
    if len(made) > 1:
        raise FeedError("The files differ in generation_timestamp, so they are not one feed.")
    first = min(shards)
    if (
        totals != {len(files)}
        or first not in (0, 1)
        or sorted(shards) != list(range(first, first + len(files)))
    ):
        raise FeedError(
            f"These are not all shards of one feed: {len(files)} files with shard_number"
            f" {', '.join(map(str, sorted(shards)))} of total_shards"
            f" {', '.join(map(str, sorted(totals)))}. Give all of them at once."
        )
    return made.pop() * 1000


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if is_packed:
                with gzip.open(raw) as unpacked:
                    yield cast("BinaryIO", unpacked)
            else:
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from None
    except ijson.JSONError as error:
        raise FeedError(f"{path}: is not JSON: {str(error).splitlines()[0]}") from None
