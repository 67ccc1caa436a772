"""Feed files, JSON or JSON.gz of any size: read twice, never held in memory as a whole.

The first reading finds what the feed is complete for, wherever a file has it, and that every file
can be read to its end. The second one yields the slots. Source: contract 10.1.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ijson

from leasehold.feed.entries import Entries
from leasehold.feed.members import ENTRY, METADATA, RESOURCES, spellings
from leasehold.feed.reader import Reader
from leasehold.model.inventory import FeedError, FeedItem

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LIST = "service_availability"
_LISTS = frozenset(spellings(_LIST))
_ENTRIES = frozenset(f"{name}.item" for name in _LISTS)
_SLOT_LISTS = frozenset(f"{entry}.availability" for entry in _ENTRIES)
_SLOTS = frozenset(f"{slots}.item" for slots in _SLOT_LISTS)
_RESTRICTED = {f"{entry}.{name}": name for entry in _ENTRIES for name in ENTRY.meant}
_RESOURCES = {
    f"{entry}.{name}": name for entry in _ENTRIES for name in spellings("resources_restrict")
}
_RESTRICTED_RESOURCE = {
    f"{path}.{name}": (of, name) for path, of in _RESOURCES.items() for name in RESOURCES.meant
}
_METADATA = {f"metadata.{name}": name for name in METADATA.meant}
_LOOKED_AT = {
    *(_ENTRIES | _SLOTS | _LISTS | _SLOT_LISTS),
    *_RESTRICTED,
    *_RESTRICTED_RESOURCE,
    *_METADATA,
}
# Of an entry that has more members than there are names, a few are enough to refuse it.
_MOST_MEMBERS = 64
_OF_A_LIST = ("start_array", "end_array", "null")
_ENDS = ("end_map", "end_array")
# What producers write for a field without a value.
_UNSET = (None, 0, "0", "")
_COMPLETE = "PROCESS_AS_COMPLETE"
# The parser hands out what it finds in so many bytes at once, each with its path. In a file that
# only nests the paths grow with the depth, so a larger piece of it would fill the memory.
_PIECE_BYTES = 4096
_LONGEST_PATH = 4096
# For a value that does not end it begins again with each piece, which takes the square of its size.
_MOST_PIECES = 256


@dataclass(slots=True)
class _Entry:
    """What precedes or follows the slots of one entry."""

    restrictions: dict[str, Any] = field(default_factory=dict)
    count: int = 0


class Source(NamedTuple):
    """Where a file of a feed is, and what reports call it."""

    path: Path
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class _File:
    source: Source
    version: tuple[int, ...]
    list_name: str = ""
    """How the list of its entries is spelt; empty when there is none."""
    metadata: dict[str, Any] = field(default_factory=dict)
    is_complete: bool = False
    """Whether its metadata says so."""
    entries: list[_Entry] = field(default_factory=list)


class _Pieces:
    """Hands out a stream, and notices when nothing that it holds comes to an end."""

    def __init__(self, source: Source, stream: BinaryIO) -> None:
        self._source = source
        self._stream = stream
        self.count = 0
        self.last_found = 0
        """What the count was when the parser found something."""

    def read(self, size: int) -> bytes:
        """Return some bytes. Raises FeedError after so many in which nothing was found."""
        self.count += 1
        self.check(self.last_found, "a value")
        return self._stream.read(size)

    def check(self, since: int, what: str) -> None:
        """Raise FeedError when something is larger than anything that a feed needs."""
        if self.count - since > _MOST_PIECES:
            most = f"{_MOST_PIECES * _PIECE_BYTES // 1024} KiB"
            raise FeedError(f"{self._source}: holds {what} of more than {most}")


class Feed:
    """All files of one import: together one feed, whole or in shards."""

    def __init__(self, files: Sequence[Path | Source], max_slot_s: float) -> None:
        """Read every file once. Raises FeedError, naming the file, for what cannot be a feed."""
        sources = [file if isinstance(file, Source) else Source(file, str(file)) for file in files]
        self._files = [_skim(source) for source in sources]
        self._max_slot_s = max_slot_s
        self.generated_at_ms = _agree(self._files)
        self.is_complete = all(file.is_complete for file in self._files)
        """Whether merchants that it does not list have no slots."""
        self.count = sum(entry.count for file in self._files for entry in file.entries)
        """How many entries there are to read."""

    def items(self) -> Iterator[FeedItem]:
        """Yield what the feed is complete for, its slots, and its faults, with their places.

        Raises FeedError when a file is not the one any more that was read first.
        """
        entries = Entries(self._max_slot_s)
        for file in self._files:
            with _opened(file.source) as stream:
                of_slots = f"{file.list_name}.item.availability.item"
                slots = ijson.items(stream, of_slots, use_float=True, buf_size=_PIECE_BYTES)
                for number, entry in enumerate(file.entries):
                    place = f"{file.source}: {_LIST}[{number}]"
                    of_entry = islice(slots, entry.count)
                    yield from entries.read(entry.restrictions, of_entry, place)
                if _version(file.source.path) != file.version:
                    raise FeedError(f"{file.source}: has changed while it was read")


def _skim(source: Source) -> _File:
    with _opened(source) as stream:
        file, pieces, began = _File(source, _version(source.path)), _Pieces(source, stream), 0
        for at, event, value in ijson.parse(pieces, use_float=True, buf_size=_PIECE_BYTES):
            pieces.last_found = pieces.count
            if event == "map_key":
                if "." in value and (f"{at}.{value}" if at else value) in _LOOKED_AT:
                    raise FeedError(f"{source}: a member has the name {value}, with dots")
                if at in _ENTRIES or at in _RESOURCES:
                    _note_name(file.entries[-1].restrictions, at, value)
            elif len(at) > _LONGEST_PATH:
                raise FeedError(f"{source}: is nested too deep")
            elif at in _SLOTS:
                if event in _ENDS:
                    pieces.check(began, "an entry")
                else:
                    file.entries[-1].count += 1
                    began = pieces.count
            elif at in _LOOKED_AT:
                _note(file, at, event, value)
    if not file.list_name:
        raise FeedError(f"{source}: there is no list {_LIST}")
    return file


def _note_name(restrictions: dict[str, Any], at: str, name: str) -> None:
    """Keep that an entry has a member, whether it is known or not."""
    of = restrictions if at in _ENTRIES else restrictions[_RESOURCES[at]]
    if name != "availability" and len(of) < _MOST_MEMBERS:
        of.setdefault(name)


def _note(file: _File, at: str, event: str, value: object) -> None:
    """Keep what is said about a file or about its newest entry.

    Of an object or a list in the place of a plain value it is kept that it was one.
    """
    if at in _ENTRIES and event not in _ENDS:
        if event != "start_map":
            raise FeedError(f"{file.source}: {at.removesuffix('.item')} holds what is not an entry")
        file.entries.append(_Entry())
    elif at in _LISTS or at in _SLOT_LISTS:
        if event not in _OF_A_LIST:
            raise FeedError(f"{file.source}: {at.replace('.item', '[]')} is not a list")
        if at in _LISTS and file.list_name not in ("", at):
            raise FeedError(f"{file.source}: has the list {_LIST} in both spellings")
        file.list_name = file.list_name or at
    elif event not in _ENDS:
        value = {"start_map": {}, "start_array": []}.get(event, value)
        if at in _METADATA:
            file.metadata[_METADATA[at]] = value
        elif at in _RESTRICTED:
            file.entries[-1].restrictions[_RESTRICTED[at]] = value
        elif at in _RESTRICTED_RESOURCE:
            of, name = _RESTRICTED_RESOURCE[at]
            file.entries[-1].restrictions[of][name] = value


def _agree(files: list[_File]) -> int:
    """Return when the feed was made, in epoch milliseconds; the files must be all of one feed.

    They are then in the order of their shards, so that what they say does not depend on how they
    were given.
    """
    made, shards, totals = set(), {}, set()
    for file in files:
        is_set = {
            name: value
            for name, value in file.metadata.items()
            if value not in _UNSET or isinstance(value, bool)
        }
        metadata = Reader(is_set, METADATA, "metadata")
        made.add(metadata.second("generation_timestamp"))
        shards[file.source] = metadata.number("shard_number")
        totals.add(metadata.number("total_shards", 1))
        instruction = metadata.value("processing_instruction")
        file.is_complete = instruction == _COMPLETE
        if instruction not in (None, _COMPLETE):
            metadata.note("processing_instruction", "is not PROCESS_AS_COMPLETE")
        if not metadata.has("generation_timestamp"):
            metadata.note("generation_timestamp", "is required")
        if metadata.faults:
            raise FeedError(f"{file.source}: {metadata.faults}")
    if len(made) > 1:
        raise FeedError("The files differ in generation_timestamp, so they are not one feed.")
    numbers = sorted(shards.values())
    first, count = numbers[0], len(files)
    if totals != {count} or first not in (0, 1) or numbers != list(range(first, first + count)):
        raise FeedError(
            f"These are not all shards of one feed: {count} files with shard_number"
            f" {', '.join(map(str, numbers))} of total_shards"
            f" {', '.join(map(str, sorted(totals)))}. Give all of them at once."
        )
    files.sort(key=lambda file: shards[file.source])
    return made.pop() * 1000


def _version(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written to or replaced."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """Open a file, unpacked; whatever is wrong while it is read becomes a FeedError."""
    with ExitStack() as stack:
        stream: Any = None
        try:
            stream = stack.enter_context(source.path.open("rb"))
            if not stream.seekable():
                raise FeedError(f"{source}: is a pipe, and a feed is read twice")
            if stream.peek(2).startswith(_GZIP_MAGIC):
                stream = stack.enter_context(gzip.open(stream))
            if stream.peek(3).startswith(_BYTE_ORDER_MARK):
                stream.read(len(_BYTE_ORDER_MARK))
            yield stream
        except OSError as error:
            raise FeedError(f"{source}: cannot be read: {error.strerror or error}") from None
        except (EOFError, zlib.error) as error:
            raise FeedError(f"{source}: cannot be unpacked: {error}") from None
        except ijson.JSONError as error:
            before = f"before byte {stream.tell():,}"
            raise FeedError(f"{source}: is not JSON, {before}: {_first_line(error)}") from None
        except UnicodeDecodeError:
            before = f"before byte {stream.tell():,}"
            raise FeedError(f"{source}: is not JSON, {before}: a text is not Unicode") from None


def _first_line(error: ijson.JSONError) -> str:
    """Return what is wrong; the other lines quote the file, of which nothing is shown."""
    told = error.args[0] if error.args else ""
    text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    return text.partition("\n")[0]
