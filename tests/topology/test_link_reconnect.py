"""Stores that go, come back, or turn out to be another one behind the same address."""

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest
from tests.backends import Backend, Counts, link_to, real_backend, soon
from tests.proxy import Proxy, proxy_to
from tests.servers import PROBER, as_prober, running
from tests.topology.conftest import through, until

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.store.link import Link


async def echo(link: Link, text: str) -> str:
    """Ask for something to which only one answer is right."""
    return str(await link.read("ECHO", text, deadline=soon()))


async def trouble_of(link: Link) -> StoreTrouble:
    """Ask a store that cannot answer."""
    with pytest.raises(StoreUnavailableError) as caught:
        await echo(link, "nobody hears")
    return caught.value.trouble


async def test_link_cut_fifty_times_keeps_as_many_connections_as_before() -> None:
    """After every cut calls go on, and the store never sees more connections than are set."""
    counts = Counts()
    with running("valkey9") as server:
        async with (
            proxy_to(server.port) as proxy,
            link_to(as_prober(proxy.url), counts, connections=2, retries=2) as link,
        ):
            for number in range(50):
                answers = await asyncio.gather(*(echo(link, f"{n}") for n in range(10)))
                assert answers == [f"{n}" for n in range(10)]
                # Busy and idle by turns; in the busy case everything is asked once more.
                busy = [asyncio.create_task(echo(link, f"{n}")) for n in range(number % 2 * 10)]
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                proxy.cut()
                await asyncio.gather(*busy)
                await until(lambda: len(server.links()) <= 2)
            assert await echo(link, "after") == "after"
            assert counts.reconnects >= 50

            assert 1 <= len(server.links()) <= 2
        await until(lambda: not server.links())


async def test_link_store_that_is_gone_is_told_at_once_and_found_again() -> None:
    """Nobody waits for a store that refuses connections; the same link finds it once it is back."""
    with running("valkey9") as server:
        async with link_to(as_prober(server.url), retries=2) as link:
            for _ in range(2):
                assert await echo(link, "here") == "here"
                server.stop()
                for _ in range(8):
                    started_s = time.monotonic()
                    assert await trouble_of(link) is StoreTrouble.UNREACHABLE
                    assert time.monotonic() - started_s < 1
                assert link.in_flight == 0
                server.start()
                assert await echo(link, "back") == "back"


async def test_link_store_that_is_gone_is_not_hammered_with_connections(
    proxy: Proxy, direct: Backend
) -> None:
    """However many calls there are, connections are tried one after the other, with pauses."""
    proxy.refuse(1_000_000)
    async with through(proxy, direct, retries=2) as behind:
        started_s = time.monotonic()
        while time.monotonic() - started_s < 1:
            await asyncio.gather(*(trouble_of(behind.link) for _ in range(50)))

    # Pauses of a twentieth of a second on average, once there have been a few.
    assert proxy.connections < 60


async def test_link_read_only_store_is_left_for_the_one_that_the_address_leads_to_now() -> None:
    """A failover behind a fixed address: the old primary answers READONLY, and is left."""
    with running("valkey9") as old, running("valkey9") as new:
        async with (
            proxy_to(old.port) as proxy,
            link_to(as_prober(proxy.url), retries=2) as link,
            real_backend(new) as direct,
        ):
            backend = replace(direct, link=link)
            assert (await backend.create_lease(await backend.slot())).status == "created"
            with old.client() as client:
                client.replicaof("127.0.0.1", new.port)
            proxy.server_port = new.port
            command = CreateLease(await backend.slot(), "r", await backend.now_ms() + 60_000)

            outcome = None
            async with asyncio.timeout(5):
                while not outcome:
                    with contextlib.suppress(StoreUnavailableError):
                        outcome = await backend.store().create_lease(command, soon())

            assert outcome.status is CreateLeaseStatus.CREATED
            assert old.links() == []
            assert len(new.links()) == 1


async def test_link_store_that_stays_read_only_costs_few_connections() -> None:
    """A store with no primary behind its address is asked again and again, on a connection."""
    counts = Counts()
    with running("valkey9") as server:
        async with (
            real_backend(server) as direct,
            link_to(as_prober(server.url), counts, retries=0) as link,
        ):
            backend = replace(direct, link=link)
            command = CreateLease(await backend.slot(), "r", await backend.now_ms() + 60_000)
            await direct.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
            started_s, refused = time.monotonic(), 0
            while time.monotonic() - started_s < 1.2:
                # What only reads goes on meanwhile, though the connection be given up for it.
                asked = backend.store().create_lease(command, soon())
                outcome, echoed = await asyncio.gather(
                    asked, echo(link, "reads"), return_exceptions=True
                )
                assert isinstance(outcome, StoreUnavailableError)
                assert outcome.trouble is StoreTrouble.READ_ONLY
                assert echoed == "reads"
                refused += 1

    assert refused > 10
    assert 1 <= counts.reconnects <= 3


async def test_link_that_gets_no_second_connection_goes_on_with_the_first(
    counts: Counts,
) -> None:
    """A store that lets no more connections in costs no calls, as long as one is open."""
    with running("valkey9") as server:
        async with link_to(as_prober(server.url), counts, connections=4, retries=3) as link:
            await link.ping(soon())
            with server.client() as client:
                # This client's own, and the link's first.
                client.config_set("maxclients", 2)
                for _ in range(20):
                    answers = await asyncio.gather(*(echo(link, f"{n}") for n in range(100)))
                    assert answers == [f"{n}" for n in range(100)]


async def test_link_wrong_password_is_access_denied_until_it_is_right(counts: Counts) -> None:
    """A store that lets nobody in is trouble; the same link gets in once it may."""
    with running("valkey9") as server:
        async with link_to(as_prober(server.url), counts) as link, real_backend(server) as direct:
            user = ("ACL", "SETUSER", PROBER, "resetpass")
            await direct.redis.execute_command(*user, ">secret")
            assert await trouble_of(link) is StoreTrouble.ACCESS_DENIED
            await direct.redis.execute_command(*user, f">{PROBER}")
            assert await echo(link, "in") == "in"
