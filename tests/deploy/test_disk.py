"""What the deployed store does when its disk is full, or takes no snapshot, on every server."""

import re
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from tests.backends import LIMITS, Backend, RealClock, client_of, link_to, soon
from tests.deploy.deployed_store import DEPLOY, DeployedStore, make_passwords
from tests.servers import REAL_SERVERS, poll
from tests.service import now_ms

from leasehold.model import ids
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.operators import LeaseState
from leasehold.model.slot import Slot
from leasehold.store.topology import open_link

if not hasattr(resource, "prlimit"):
    pytest.skip("no limit for a process that runs", allow_module_level=True)
ROOM = 64 * 1024
"""Bytes that the append-only file may grow by before its disk is full."""


class LimitedStore(DeployedStore):
    """A store whose files can be kept from growing, as on a disk that is full."""

    def _command(self) -> list[str]:
        # Without the signal, a write beyond the limit is an error, as that of a full disk is.
        return ["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", *super()._command()]

    def fill_disk(self) -> None:
        """Leave a little room."""
        files = [path for path in self.directory.rglob("*.aof") if path.is_file()]
        limit = max(path.stat().st_size for path in files) + ROOM
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def make_room(self) -> None:
        """Let files grow again."""
        limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, limits)


@pytest.fixture(params=REAL_SERVERS)
def store(request: pytest.FixtureRequest) -> Iterator[LimitedStore]:
    """A store as it is deployed."""
    store = LimitedStore(request.param)
    store.secrets = store.directory / "secrets"
    make_passwords(store.secrets)
    with store:
        yield store


@asynccontextmanager
async def opened(store: DeployedStore) -> AsyncIterator[Backend]:
    """Open the store as the service."""
    url = store.url_of("leasehold")
    async with client_of(store.tester_url) as admin, link_to(url) as link:
        yield Backend(admin, link, RealClock(), lambda: open_link(url, LIMITS))


async def hold_until_refused(backend: Backend) -> tuple[int, StoreTrouble]:
    """Hold slots until that fails; return how many were answered, and why it ended."""
    for number in range(ROOM // 100):
        try:
            await hold(backend, number)
        except StoreUnavailableError as error:
            return number, error.trouble
    pytest.fail("the disk is not full")


async def hold(backend: Backend, number: int) -> CreateLeaseStatus:
    """Hold a slot of this number's own."""
    until_ms = now_ms() + 600_000
    slot = Slot(backend.merchant, "haircut", until_ms // 1000 + 86_400, 1800, f"staff-{number}")
    return (await backend.create_lease(slot, f"r-{number}", until_ms=until_ms)).status


async def check_all_is_there(backend: Backend, answered: int) -> None:
    """Every lease that was answered has its spot."""
    await backend.redis.connection_pool.disconnect()
    leases = backend.leases()
    for number in range(answered):
        lease_id = ids.Reference(backend.merchant, ids.lease_suffix(f"r-{number}"))
        found = await leases.get_lease(lease_id, soon())
        assert found
        assert found.state is LeaseState.HELD


async def test_full_disk_with_everysec_refuses_until_there_is_room(store: LimitedStore) -> None:
    """Nothing is written, reads go on, and whoever makes room need do no more."""
    async with opened(store) as backend:
        assert await hold(backend, 1000) is CreateLeaseStatus.CREATED
        store.fill_disk()
        answered, trouble = await hold_until_refused(backend)
        assert trouble is StoreTrouble.NOT_PERSISTING
        assert await backend.link.read("GET", "marker", deadline=soon()) is None
        assert (await backend.redis.info("persistence"))["aof_last_write_status"] == "err"

        store.make_room()
        with store.client() as admin:
            poll("written", lambda: admin.info("persistence")["aof_last_write_status"] == "ok")
        store.stop()
        store.start()
        await check_all_is_there(backend, answered)


async def test_full_disk_with_always_ends_the_server_and_loses_nothing(store: LimitedStore) -> None:
    """The server exits before it answers what is not on disk; with room it starts as it was."""
    store.stop()
    store.arguments = ("--appendfsync", "always")
    store.start()
    async with opened(store) as backend:
        store.fill_disk()
        answered, trouble = await hold_until_refused(backend)
        assert trouble is StoreTrouble.UNREACHABLE
        log = (store.directory / "log").read_text()
        assert "Can't recover from AOF write error when the AOF fsync policy is 'always'" in log

        store.stop()
        store.start()
        await check_all_is_there(backend, answered)


async def test_snapshot_that_fails_refuses_nothing(store: LimitedStore) -> None:
    """The append-only file is what keeps the data; with the server's default calls would fail."""
    (store.directory / "dump.rdb").mkdir()
    (store.directory / "dump.rdb" / "in-the-way").touch()
    async with opened(store) as backend:
        assert await hold(backend, 0) is CreateLeaseStatus.CREATED
        await backend.redis.bgsave()
        with store.client() as admin:
            poll("failed", lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert await hold(backend, 1) is CreateLeaseStatus.CREATED

        await backend.redis.config_set("stop-writes-on-bgsave-error", "yes")
        with pytest.raises(StoreUnavailableError) as caught:
            await hold(backend, 2)
        assert caught.value.trouble is StoreTrouble.NOT_PERSISTING


SETTING = re.compile(r"`([a-z-]+) ([^`]+)`")


def test_guarantees_ask_for_what_is_deployed() -> None:
    """No setting that docs/guarantees.md asks for is another one in redis.conf."""
    document = (DEPLOY.parent / "docs" / "guarantees.md").read_text()
    (table,) = re.findall(
        r"^## Settings that Redis needs\n(.*?)^## ", document, re.MULTILINE | re.DOTALL
    )
    asked = [SETTING.match(row) for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)]
    lines = (DEPLOY / "redis" / "redis.conf").read_text().splitlines()
    deployed = dict(line.split(" ", 1) for line in lines if re.match(r"[a-z]", line))

    wanted = {match[1]: match[2] for match in asked if match}
    assert {name: deployed.get(name, value) for name, value in wanted.items()} == wanted
    assert {"maxmemory-policy", "appendonly", "appendfsync"} <= set(wanted) & set(deployed)
    assert "stop-writes-on-bgsave-error" in wanted
