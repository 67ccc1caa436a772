"""Looks through every key of a store for what must not be; it reads, and repairs nothing."""

import asyncio
import math
import re
from functools import partial
from typing import Any
from urllib.parse import unquote

from redis.exceptions import ResponseError

from leasehold.model.complaint import Ailment, Complaint, Examination
from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.model.ids import Reference, encode_id, wire_id
from leasehold.model.user_keys import UNKEYED, UserKeys
from leasehold.store import feed_ages, keys, layout, permissions, safety
from leasehold.store.booking_records import NOBODY
from leasehold.store.link import Link
from leasehold.store.long_slots import LongSlots
from leasehold.store.node import Node
from leasehold.store.user_index import UserIndex
from leasehold.store.user_key_mark import UserKeyMark

_KEYS_AT_ONCE = 500
_CALL_TIMEOUT_S = 30
_MOST_COMPLAINTS = 100
_CALL_ENDS_IN_S = 1
_MARKER = re.compile(r"marker(?::\{(?:\d+|users)\})?")
_FAMILY = re.compile(
    r"(?:slot|lease|booking|bookings-of|spots|full|inventory|stage|ack|events|expiring)[:{]"
)
_RECORD = re.compile(rf"(?:lease|booking|inventory):\{{[^{{}}]*\}}|feed$|{_MARKER.pattern}$")
_TAGGED = re.compile(r"[a-z-]+:\{(?P<tag>[^{}]*)\}(?P<rest>:.*)?", re.DOTALL)
_OWNER = re.compile(r"(?P<kind>lease|booking) (?P<suffix>[0-9A-Z]{26})(?: \w+)?")


class Doctor:
    """Examines the store of a link."""

    def __init__(
        self,
        link: Link,
        replica_acks: int,
        max_slot_s: float,
        hold_ms: int,
        *,
        is_strict: bool = False,
        user_keys: UserKeys = UNKEYED,
    ) -> None:
        """Take what the service is set to; ``hold_ms`` is the longest lease.

        With ``is_strict`` feeds must not be old.
        """
        self._link = link
        self._replica_acks = replica_acks
        self._max_slot_s = max_slot_s
        self._hold_ms = hold_ms
        self._is_strict = is_strict
        self._index = UserIndex(link, booking_retention_ms=0)
        self._user_key_mark = UserKeyMark(link, user_keys, writes=False)

    async def findings(self) -> list[Finding]:
        """Return what the store's own settings put at risk, and what the markers tell.

        Of a cluster that is down, or Sentinels without a primary, only that is found.
        """
        of_nodes = await self._link.findings(_deadline())
        try:
            return [*await self._of_store(), *of_nodes]
        except StoreUnavailableError:
            if not of_nodes:
                raise
            return of_nodes

    async def _of_store(self) -> list[Finding]:
        found = await safety.look(self._link, _deadline(), self._replica_acks, asks_config=True)
        slots = LongSlots(self._link, self._max_slot_s, most_pages=math.inf)
        found += [*await self._markers(), await slots.look(_deadline())]
        found.append(await self._users())
        if not self._is_strict:
            return [*found, Finding(feed_ages.NAME, "ok", "inventory is open, and needs no feed")]
        feeds = feed_ages.FeedAgeWatch(self._link, most_pages=math.inf, most_merchants=math.inf)
        return [*found, (await feeds.look(_deadline())).finding]

    async def _users(self) -> Finding:
        """Tell which key digests users; that its shard is away is told by that of the cluster."""
        try:
            return await self._user_key_mark.look(_deadline())
        except StoreUnavailableError as error:
            return Finding("users", "warning", f"the key of users is not known: {error}")

    async def lacking(self) -> dict[str, list[str]]:
        """Return the rules that the store's user lacks for this release, by address."""
        return await permissions.lacking(self._link, _deadline())

    async def examine(self) -> Examination:
        """Look at every key of every primary; what changes meanwhile may be missed."""
        examination = Examination([])
        for node in (await self._link.primaries(_deadline())).values():
            cursor = "0"
            while cursor:
                words = ("SCAN", cursor, "COUNT", str(_KEYS_AT_ONCE))
                after, names = await self._link.read_on(node, *words, deadline=_deadline())
                found = await self._link.each(partial(self._examine_key, node), names)
                _note(examination, names, found)
                cursor = str(after) if int(after) else ""
        return examination

    async def _markers(self) -> list[Finding]:
        """Tell what the markers say, without advancing them as a service does.

        That a shard is away is told by the finding of the cluster.
        """
        lost, stepped = list[str](), list[str]()
        for tag, node in (await self._link.shards(_deadline())).items():
            try:
                await self._read_marker(node, keys.marker_key(tag), lost, stepped)
            except StoreUnavailableError as error:
                if error.trouble is not StoreTrouble.UNREACHABLE:
                    raise
        return [
            Finding("step", "warning", "; ".join(stepped))
            if stepped
            else Finding("step", "ok", "no step back of the clock is known"),
            Finding("data", "warning", "; ".join(lost))
            if lost
            else Finding("data", "ok", "no loss is known"),
        ]

    async def _read_marker(self, node: Node, key: str, lost: list[str], stepped: list[str]) -> None:
        """Add what one marker tells."""
        if not await self._knows_layout(node, key):
            return
        fields = await self._read(node, "HMGET", key, "lost_at_ms", "back_at_ms", "back_by_ms")
        lost_at_ms, back_at_ms, back_by_ms = (int(it or 0) for it in fields)
        if lost_at_ms:
            lost.append(f"{key}: lost at {keys.start_text(lost_at_ms // 1000)}")
        now_s, _ = await self._read(node, "TIME")
        if back_by_ms and back_at_ms <= int(now_s) * 1000 < back_at_ms + self._hold_ms:
            stepped.append(f"{key}: the clock stepped back by {back_by_ms // 1000} s")

    async def _examine_key(self, node: Node, key: str) -> list[Ailment]:
        """Return what is wrong with a key."""
        if _RECORD.match(key) and not await self._knows_layout(node, key):
            # How the rest of it is meant, this release does not know.
            return [Ailment.LAYOUT_UNKNOWN]
        if not _FAMILY.match(key):
            return []
        tagged = _TAGGED.fullmatch(key)
        if not tagged or encode_id(unquote(tagged["tag"])) != tagged["tag"]:
            # Nothing more is asked: the service's user may not read every such key.
            return [Ailment.WRONG_TAG]
        ailments = []
        if await self._read(node, "PTTL", key) == -1:
            ailments.append(Ailment.NO_TTL)
        if key.startswith("slot:"):
            try:
                ailments += await self._examine_spot(node, key, tagged["tag"])
            except ResponseError:
                ailments.append(Ailment.NO_OWNER)  # It, or a record, is of another type.
        if (booking := keys.parse_booking_key(key)) and not await self._is_listed(node, booking):
            # The call that has made or moved it may be about to name it.
            await asyncio.sleep(_CALL_ENDS_IN_S)
            if not await self._is_listed(node, booking):
                ailments.append(Ailment.NOT_INDEXED)
        return ailments

    async def _knows_layout(self, node: Node, key: str) -> bool:
        """Tell whether this release may read a record; of another type it is none."""
        try:
            (v,) = await self._read(node, "HMGET", key, layout.FIELD)
        except ResponseError:
            return True
        return layout.knows(v)

    async def _is_listed(self, node: Node, booking: Reference) -> bool:
        """Tell whether the index of whoever made a booking names it as it is."""
        key = keys.booking_key(booking.merchant_id, booking.suffix)
        user, start_ms = await self._read(node, "HMGET", key, "user", "start_ms")
        if user in (None, NOBODY) or start_ms is None:
            return True
        remaining_ms = await self._read(node, "PTTL", key)
        booking_id = wire_id(booking.merchant_id, booking.suffix)
        place = (int(start_ms) // 1000, remaining_ms)
        return await self._index.has(user, booking_id, *place, _deadline())

    async def _examine_spot(self, node: Node, key: str, tag: str) -> list[Ailment]:
        """Return what is wrong with who has a spot."""
        owner = await self._read(node, "GET", key)
        if owner is None:
            return []
        match = _OWNER.fullmatch(owner)
        if not match:
            return [Ailment.NO_OWNER]
        record_key = f"{match['kind']}:{{{tag}}}:{match['suffix']}"
        slot_field = "slot" if match["kind"] == "lease" else "current_slot"
        fields = (layout.FIELD, slot_field, "spot")
        v, slot, spot = await self._read(node, "HMGET", record_key, *fields)
        if not layout.knows(v) or f"{slot}#{spot}" == key.partition("}:")[2]:
            return []
        # It may have ended or moved since it was read; a record outlives what it holds.
        if await self._read(node, "GET", key) != owner:
            return []
        return [Ailment.NO_RECORD if slot is None else Ailment.OTHER_SPOT]

    async def _read(self, node: Node, *words: str) -> Any:
        return await self._link.read_on(node, *words, deadline=_deadline())


def _note(examination: Examination, names: list[str], found: list[list[Ailment]]) -> None:
    for name, ailments in zip(names, found, strict=True):
        examination.keys += 1
        is_ours = _FAMILY.match(name) or _MARKER.fullmatch(name) or name == keys.FEED_KEY
        examination.foreign += not is_ours
        for ailment in ailments:
            examination.complaint_count += 1
            if len(examination.complaints) < _MOST_COMPLAINTS:
                examination.complaints.append(Complaint(ailment, name))


def _deadline() -> Deadline:
    return Deadline.within(_CALL_TIMEOUT_S, None)
