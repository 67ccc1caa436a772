"""A primary that Sentinels watch: found, followed when it changes, and logged in to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.backends import TERMS, Counts, link_to, soon
from tests.servers import LOGIN, PROBER, RedisServer, as_prober, free_port, poll, port_in
from tests.service import now_ms
from tests.topologies import BINARIES, Replicated, ask, replicated

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.model.lease import CreateLease
from leasehold.model.slot import Slot
from leasehold.store.link import Link
from leasehold.store.redis_store import RedisStore
from leasehold.store.topology import Access

IMPATIENT: dict[str, Any] = {"timeout_s": 0.3, "connect_timeout_s": 0.3}


@pytest.fixture(scope="module", params=BINARIES)
def group(request: pytest.FixtureRequest) -> Iterator[Replicated]:
    """A primary, a replica and three Sentinels; every test leaves them well."""
    with replicated(request.param) as group:
        yield group


@pytest.fixture
async def link(group: Replicated) -> AsyncIterator[Link]:
    """A link by the Sentinels."""
    await asyncio.to_thread(group.wait_until_healthy)
    async with link_to(group.url, retries=2, **IMPATIENT) as link:
        yield link
    await asyncio.to_thread(group.wait_until_healthy)


async def port_of(link: Link) -> int:
    """Return the port of the server that answers."""
    return port_in(await link.read("INFO", "server", deadline=soon()))


async def until_served_by(link: Link, server: RedisServer) -> None:
    """Wait until the link leads to a server."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                if await port_of(link) == server.port:
                    return
            await asyncio.sleep(0.02)


async def test_sentinel_names_the_primary(group: Replicated, link: Link) -> None:
    """The URL names the Sentinels and the service; what answers is the primary."""
    assert await port_of(link) == group.primary.port
    assert list(await link.read_everywhere("PING", deadline=soon())) == [group.service]


@pytest.mark.long
async def test_sentinel_failover_is_followed_however_it_comes(
    group: Replicated, link: Link
) -> None:
    """By command, by death or by silence: the link leads to the new primary, without a restart."""
    await until_served_by(link, group.primary)
    await until_served_by(link, await asyncio.to_thread(group.fail_over))
    for end in (RedisServer.stop, RedisServer.pause):
        await asyncio.to_thread(group.wait_until_healthy)
        old = group.primary
        end(old)
        await until_served_by(link, await asyncio.to_thread(group.wait_for_new_primary, old))
        old.resume() if end is RedisServer.pause else old.start()


async def test_sentinel_silent_or_dead_does_not_keep_the_others_from_being_asked(
    group: Replicated,
) -> None:
    """Two of three Sentinels give no answer: the third one is enough, within the time limit."""
    silent, dead, _ = group.sentinels
    silent.pause()
    dead.stop()
    try:
        for _ in range(6):
            # So long for all three of them, and the connection.
            async with link_to(group.url, connect_timeout_s=0.5) as link:
                assert await port_of(link)
    finally:
        silent.resume()
        dead.start()


async def sentinels_of(link: Link) -> Finding:
    """Return what is found about the Sentinels."""
    (found,) = await link.findings(soon())
    return found


async def test_sentinels_that_answer_and_agree_are_counted(group: Replicated, link: Link) -> None:
    """All dead, the store serves on: without the finding nothing would tell (failure mode 68)."""
    named = f"name 127.0.0.1:{group.primary.port}"
    assert await sentinels_of(link) == Finding("sentinels", "ok", f"3 of 3 answer, 3 {named}")
    one, *others = group.sentinels
    one.stop()
    try:
        assert await sentinels_of(link) == Finding(
            "sentinels", "warning", f"2 of 3 answer, 2 {named}"
        )
        for each in others:
            each.stop()
        lost = "; that is no majority, so no failover is followed"
        assert await sentinels_of(link) == Finding(
            "sentinels", "warning", f"0 of 3 answer, 0 {named}{lost}"
        )
        await link.ping(soon())
    finally:
        for each in group.sentinels:
            each.start()
    async with asyncio.timeout(30):
        while (await sentinels_of(link)).state != "ok":
            await asyncio.sleep(0.02)


async def test_sentinel_out_of_reach_is_told_in_one_sentence_and_without_secrets() -> None:
    """What people read of it names the service, and nothing that opens a door."""
    url = f"redis+sentinel://ada:hunter-1@127.0.0.1:{free_port()}/main"
    access = Access(sentinel_username="watcher", sentinel_password="hunter-2")
    async with link_to(url, access=access) as link:
        with pytest.raises(StoreUnavailableError) as caught:
            await link.ping(soon())

    told = str(caught.value.__cause__)
    assert told.startswith("no Sentinel names a primary called main")
    assert not [word for word in ("ada", "hunter", "watcher", "redis.asyncio") if word in told]


async def test_sentinel_that_names_a_replica_gets_nobody_served_by_it() -> None:
    """What the Sentinels say is checked with the server: old answers are never read."""
    with replicated("valkey9", sentinels=1) as group:
        primary, replica = group.servers
        ask(group.sentinels[0], "SENTINEL", "SET", group.service, "failover-timeout", 60_000)
        ask(primary, "REPLICAOF", "127.0.0.1", replica.port)
        async with link_to(group.url, **IMPATIENT) as link:
            with pytest.raises(StoreUnavailableError) as caught:
                await port_of(link)
        ask(primary, "REPLICAOF", "NO", "ONE")

    assert caught.value.trouble is StoreTrouble.READ_ONLY


async def test_sentinel_primary_made_read_only_refuses_and_breaks_nothing(
    group: Replicated, link: Link
) -> None:
    """READONLY is a plain refusal: what else is in flight on the connection gets its answer."""
    primary, replica = group.primary, group.replicas[0]
    slot = Slot("m", "haircut", now_ms() // 1000 + 86_400, 1800)
    async with link_to(as_prober(group.url)) as once:
        await once.ping(soon())
        ask(primary, "REPLICAOF", "127.0.0.1", replica.port)
        command = CreateLease(slot, "r", now_ms() + 9000)
        write = asyncio.create_task(RedisStore(once, TERMS).create_lease(command, soon()))
        beside = asyncio.create_task(once.read("ECHO", "beside", deadline=soon()))
        await asyncio.wait({write, beside})
    ask(primary, "REPLICAOF", "NO", "ONE")

    refused = write.exception()
    assert isinstance(refused, StoreUnavailableError)
    assert refused.trouble is StoreTrouble.READ_ONLY
    assert beside.result() == "beside"
    await until_served_by(link, group.primary)


async def test_sentinel_logs_in_with_users_of_their_own(group: Replicated) -> None:
    """User and password of the URL are for the store, those of the settings for the Sentinels."""
    for sentinel in group.sentinels:
        rights = ("-@all", "+sentinel|get-master-addr-by-name", "+client|setname")
        ask(sentinel, "ACL", "SETUSER", "watcher", "on", ">sentinel-word", *rights)
    url = as_prober(group.url)
    access = Access(sentinel_username="watcher", sentinel_password="sentinel-word")
    async with link_to(url, access=access) as link:
        assert await link.read("ACL", "WHOAMI", deadline=soon()) == PROBER

    for wrong_url, wrong_access in (
        (url.replace(f":{PROBER}@", ":x@"), access),
        (url, Access(sentinel_username="watcher", sentinel_password="x")),
    ):
        async with link_to(wrong_url, access=wrong_access) as link:
            with pytest.raises(StoreUnavailableError):
                await link.ping(soon())


async def test_sentinels_password_is_in_a_file_and_may_change(
    group: Replicated, tmp_path: Path
) -> None:
    """The file is read for every connection to a Sentinel; a mark of its encoding is no part."""
    path = tmp_path / "sentinels"
    access = Access(sentinel_username="keeper", sentinel_password_file=path)
    rights = ("-@all", "+sentinel|get-master-addr-by-name", "+client|setname")
    async with link_to(group.url, access=access, retries=2) as link:
        for word, mark in (("first", ""), ("second", "\ufeff")):
            path.write_text(f"{mark}{word}\n", encoding="utf-8")
            for each in group.sentinels:
                ask(each, "ACL", "SETUSER", "keeper", "on", "resetpass", f">{word}", *rights)
                ask(each, "CLIENT", "KILL", "USER", "keeper")
            async with asyncio.timeout(30):
                while not (await sentinels_of(link)).detail.startswith("3 of 3 answer"):
                    await asyncio.sleep(0.02)
        path.write_text("third\n")
    async with link_to(group.url, access=access) as link:
        with pytest.raises(StoreUnavailableError):
            await link.ping(soon())


async def test_sentinel_password_from_a_file_may_change(group: Replicated, tmp_path: Path) -> None:
    """The file is read for every connection, so a new password needs no restart."""
    path = tmp_path / "password"
    url = group.url.replace(LOGIN, "clerk@")
    async with link_to(url, access=Access(password_file=path), retries=2) as link:
        for word in ("first", "second"):
            path.write_text(f"{word}\n")
            user = ("ACL", "SETUSER", "clerk", "on", "resetpass", f">{word}", "~*", "&*", "+@all")
            ask(group.primary, *user)
            ask(group.primary, "CLIENT", "KILL", "USER", "clerk")
            assert await link.read("ACL", "WHOAMI", deadline=soon()) == "clerk"


@pytest.mark.parametrize(
    "failovers",
    [
        pytest.param(3, id="short"),
        pytest.param(50, id="long", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
async def test_sentinel_failed_over_again_and_again_keeps_one_connection(failovers: int) -> None:
    """After every failover there is one connection to the primary, and to each Sentinel (32)."""
    with replicated("valkey9") as group:
        counts = Counts()
        async with link_to(group.url, counts, retries=2) as link:
            await link.ping(soon())
            for _ in range(failovers):
                await asyncio.to_thread(group.wait_until_healthy)
                new = await asyncio.to_thread(group.fail_over)
                await until_served_by(link, new)
                await asyncio.to_thread(poll, "one connection", lambda new=new: is_lean(group, new))

    assert counts.reconnects >= failovers


def is_lean(group: Replicated, primary: RedisServer) -> bool:
    """Tell whether the link has one connection to the primary, and one to each Sentinel."""
    connections = {it.port: len(it.links()) for it in group.nodes if it.links()}
    return connections == {it.port: 1 for it in (primary, *group.sentinels)}
