"""The store as it is deployed keeps every lease and booking over a restart, on every server."""

import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.backends import EVENTFUL, LIMITS, READERS, Backend, RealClock, client_of, link_to, soon
from tests.bookings import book
from tests.deploy.deployed_store import DEPLOY, DeployedStore, deployed
from tests.events import read_events
from tests.servers import REAL_SERVERS, binary, poll

from leasehold.model.booking import CreateBookingStatus
from leasehold.model.inventory import Availability, Scope
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.slot import Slot
from leasehold.store.hooks import tell_nobody
from leasehold.store.marker import Marker
from leasehold.store.topology import open_link

SLOTS, HELD = 20, 10
"""Slots on sale; the first of them are held, the others are booked."""


@pytest.fixture(params=REAL_SERVERS)
def store(request: pytest.FixtureRequest) -> Iterator[DeployedStore]:
    """A store as it is deployed, which the test restarts."""
    with deployed(request.param) as store:
        yield store


@asynccontextmanager
async def opened(store: DeployedStore) -> AsyncIterator[Backend]:
    """Open the store as the service, with a strict inventory and events."""
    url = store.url_of("leasehold")
    async with client_of(store.tester_url) as admin, link_to(url) as link:
        yield Backend(
            admin,
            link,
            RealClock(),
            lambda: open_link(url, LIMITS),
            merchant="salon-1",
            is_strict=True,
            terms=EVENTFUL,
        )


async def fill(backend: Backend) -> list[Slot]:
    """Put slots on sale, hold some and book the others; return the slots."""
    first = await backend.slot()
    slots = [replace(first, start_s=first.start_s + 1800 * number) for number in range(SLOTS)]
    inventory = backend.inventory()
    items = [Availability("here", slot, 1, 1) for slot in slots]
    staged = await inventory.stage([Scope(backend.merchant), *items], tell_nobody)
    await inventory.commit(staged, await backend.now_ms(), tell_nobody)
    for number, slot in enumerate(slots):
        if number < HELD:
            held = await backend.create_lease(slot, f"visit-{number}")
            assert held.status is CreateLeaseStatus.CREATED
        else:
            booked = await book(backend, slot, token=f"token-{number}", user="ada")
            assert booked.status is CreateBookingStatus.CREATED
    return slots


async def check_all_is_there(backend: Backend, slots: list[Slot]) -> None:
    """Every lease and booking is found by whoever has it, and by nobody else."""
    bookings = await backend.store().list_bookings("ada", soon())
    assert [each.slot for each in bookings or []] == slots[HELD:]
    for number, slot in enumerate(slots):
        other = await backend.create_lease(slot, f"other-{number}")
        assert other.status is CreateLeaseStatus.SLOT_UNAVAILABLE
        if number < HELD:
            again = await backend.create_lease(slot, f"visit-{number}")
            assert again.status is CreateLeaseStatus.REPLAYED
        else:
            repeated = await book(backend, slot, token=f"token-{number}", user="ada")
            assert repeated.status is CreateBookingStatus.REPLAYED
    assert await backend.inventory().describe(backend.merchant)


async def dump(backend: Backend) -> dict[str, tuple[Any, bool]]:
    """Return every key of the store with its value, and whether it ends."""
    found = {}
    async for key in backend.redis.scan_iter(count=1000):
        value = await READERS[str(await backend.redis.type(key))](backend.redis, key)
        found[key] = (value, await backend.redis.pttl(key) > 0)
    return found


def restart(store: DeployedStore, how: str) -> None:
    """End the server by a signal that it cannot hear, or as it is asked to; start it again."""
    with store.client() as admin:
        # With everysec an answer may leave before a disk that is slow has the change.
        poll("all is written", lambda: is_written(admin.info("persistence")))
        if how == "shutdown":
            admin.shutdown()
    store.stop()
    store.start()


def is_written(info: dict[str, object]) -> bool:
    """Tell whether the append-only file has all that was answered."""
    return info["aof_buffer_length"] == info["aof_pending_bio_fsync"] == 0


@pytest.mark.parametrize("how", ["kill", "shutdown"])
async def test_restart_of_the_deployed_store_keeps_every_lease_and_booking(
    store: DeployedStore, how: str
) -> None:
    """Whatever was answered is there again, key by key, and no process notices a loss."""
    async with opened(store) as backend:
        slots = await fill(backend)
        marker = Marker(backend.link, 1, on_loss=pytest.fail)
        await marker.beat(soon())
        before, events = await dump(backend), await read_events(backend)
        restart(store, how)
        await backend.redis.connection_pool.disconnect()

        assert await dump(backend) == before
        assert await read_events(backend) == events
        assert (await marker.beat(soon())).state == "ok"
        await check_all_is_there(backend, slots)


def give_default(store: DeployedStore, rights: str) -> None:
    """Give the user who is judged at a restart these rights."""
    access_list = store.secrets / "users.acl"
    text = re.sub(r"^user default off.*", f"user default off {rights}", access_list.read_text())
    access_list.write_text(text)
    with store.client() as admin:
        admin.acl_load()


async def test_marker_is_lost_with_the_rest(store: DeployedStore) -> None:
    """Where a restart drops what scripts have written, each process notices (failure mode 62).

    A user ``default`` without rights makes some servers do so, and others not. As long as the file
    is not rewritten, rights and another restart bring everything back, as the runbook says.
    """
    give_default(store, "")
    losses: list[int] = []
    async with opened(store) as backend:
        slots = await fill(backend)
        marker = Marker(backend.link, 60_000, on_loss=lambda: losses.append(1))
        await marker.beat(soon())
        restart(store, "kill")
        await backend.redis.connection_pool.disconnect()
        is_lost = await backend.owner(slots[0]) is None
        state = (await marker.beat(soon())).state

        assert (state, losses) == (("warning", [1]) if is_lost else ("ok", []))
        log = (store.directory / "log").read_text()
        assert is_lost == ("is sending an error to its AOF-loading-client: '-NOPERM" in log)

        give_default(store, "~* &* +@all")
        restart(store, "shutdown")
        await backend.redis.connection_pool.disconnect()
        assert (await marker.beat(soon())).state == state
        await check_all_is_there(backend, slots)


@pytest.mark.parametrize(
    "name", ["compose.yaml", "kubernetes/overlays/production/kustomization.yaml"]
)
def test_deployment_names_the_store_that_was_restarted(name: str) -> None:
    """The version that a deployment names is the one that these tests run, not a neighbour."""
    assert re.findall(r"valkey/valkey:([\w.-]+\w)", (DEPLOY / name).read_text()) == [
        version_of("valkey9")
    ]


def test_deployment_document_names_the_servers_that_were_restarted() -> None:
    """Whoever chooses a store finds what has been tried; the system's own server may differ."""
    document = (DEPLOY.parent / "docs" / "deployment.md").read_text()
    assert f"Redis {version_of('redis62')}, " in document
    assert f"Valkey {version_of('valkey9')} " in document


def version_of(name: str) -> str:
    """Return the version of a server."""
    command = [str(binary(name)), "--version"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout
    found = re.search(r"v=(\S+)", told)
    assert found
    return found[1]
