"""A booking whose process ended before the user's index was written, on a real store."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.backends import TERMS, link_to, soon
from tests.servers import SERVICE, RedisServer, access_list, running
from tests.service import now_ms

from leasehold.model import ids
from leasehold.model.booking import CreateBooking, UpdateBooking
from leasehold.model.complaint import Ailment
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.slot import Slot
from leasehold.store import keys
from leasehold.store.doctor import Doctor
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import tell_nobody
from leasehold.store.link import Link
from leasehold.store.redis_store import RedisStore

PATTERNS = [rule for rule in access_list()[SERVICE] if rule.startswith("~")]
USER = ids.user_digest("ada")


@pytest.fixture
def store() -> Iterator[RedisServer]:
    """A store of this test's own, whose users the test changes."""
    with running("valkey9") as server:
        yield server


def forbid_indexes(server: RedisServer, *, are_forbidden: bool) -> None:
    """Let the service's user write intents, and no index; as if each process ended before it."""
    allowed = [rule for rule in PATTERNS if "bookings-of" not in rule]
    allowed += ["~bookings-of:{*}:intents"] if are_forbidden else ["~bookings-of:{*"]
    with server.client() as tester:
        tester.execute_command("ACL", "SETUSER", SERVICE, "resetkeys", *allowed)


def pass_two_minutes(server: RedisServer) -> None:
    """Let intents and moves have ended."""
    with server.client() as tester:
        tester.delete(keys.intents_key(USER), keys.moves_key(USER))


async def ailments(link: Link) -> list[tuple[Ailment, str]]:
    """Return what the doctor complains of."""
    found = await Doctor(link, 0, 86_400, 0).examine()
    return [(each.ailment, each.key) for each in found.complaints]


async def book_without_index(server: RedisServer, link: Link) -> CreateBooking:
    """Make a booking whose call is not answered, because its index cannot be written."""
    slot = Slot("salon-1", "haircut", now_ms() // 1000 + 86_400, 1800)
    command = CreateBooking(slot, "token-1", "v2", "ada", b"original")
    forbid_indexes(server, are_forbidden=True)
    with pytest.raises(StoreUnavailableError) as caught:
        await RedisStore(link, TERMS).create_booking(command, soon())
    assert caught.value.trouble is StoreTrouble.ACCESS_DENIED
    forbid_indexes(server, are_forbidden=False)
    pass_two_minutes(server)
    return command


async def test_booking_without_its_index_is_named_by_the_doctor_and_repaired_by_its_repeat(
    store: RedisServer,
) -> None:
    """No answer, no promise: the repeat finds the booking and names it (failure mode 51)."""
    async with link_to(store.url) as link:
        adapter = RedisStore(link, TERMS)
        command = await book_without_index(store, link)
        booking_key = keys.booking_key("salon-1", command.suffix)
        assert await adapter.list_bookings("ada", soon()) is None
        assert await ailments(link) == [(Ailment.NOT_INDEXED, booking_key)]

        assert (await adapter.create_booking(command, soon())).status == "replayed"

        assert len(await adapter.list_bookings("ada", soon()) or ()) == 1
        assert await ailments(link) == []


async def test_booking_without_its_index_is_forgotten_by_a_thorough_look_alone(
    store: RedisServer,
) -> None:
    """What no index names is found by looking through every booking, and nobody else's goes."""
    eraser_told: list[tuple[int, int]] = []
    async with link_to(store.url) as link:
        command = await book_without_index(store, link)
        assert command.slot
        others = replace(command, slot=replace(command.slot, room_id="2"), token="2", user_id="bo")
        assert (await RedisStore(link, TERMS).create_booking(others, soon())).status == "created"
        eraser = Eraser(link, lambda *_: b"nobody's")
        assert (await eraser.forget_user("ada", tell_nobody)).booking_ids == []

        found = await eraser.forget_user(
            "ada", lambda *told: eraser_told.append(told), is_thorough=True
        )

        assert found.booking_ids == [command.booking_id]
        assert found.still_named == 0
        assert eraser_told == [(2, 2)]
        assert len(await RedisStore(link, TERMS).list_bookings("bo", soon()) or ()) == 1
        with store.client() as tester:
            users = {tester.hget(key, "user") for key in tester.scan_iter(match="booking:*")}
        assert users == {"nobody", ids.user_digest("bo")}


async def test_move_without_its_index_is_named_by_the_doctor_and_repaired_by_its_repeat(
    store: RedisServer,
) -> None:
    """An index that ends too early, or has another start, is not as the booking is."""
    async with link_to(store.url) as link:
        adapter = RedisStore(link, TERMS)
        command = await book_without_index(store, link)
        assert command.slot
        assert (await adapter.create_booking(command, soon())).status == "replayed"
        booking = ids.Reference("salon-1", command.suffix)
        later = UpdateBooking(booking, start_s=command.slot.start_s + 30 * 86_400)
        forbid_indexes(store, are_forbidden=True)
        with pytest.raises(StoreUnavailableError):
            await adapter.update_booking(later, soon())
        forbid_indexes(store, are_forbidden=False)
        named = (Ailment.NOT_INDEXED, keys.booking_key("salon-1", command.suffix))
        assert await ailments(link) == [named]

        assert (await adapter.update_booking(later, soon())).status == "unchanged"

        assert await ailments(link) == []
