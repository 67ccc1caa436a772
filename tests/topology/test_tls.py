"""The store behind TLS: who is trusted, who has to show a certificate, in every topology.

The Valkey of the wheel has no TLS, so these need the system's redis-server.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.backends import link_to, soon
from tests.certificates import Authority, authority
from tests.clusters import SLOTS
from tests.servers import LOGIN, RedisServer, as_prober, free_port, port_in
from tests.topologies import SERVICE, SentinelServer, ask

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.store.topology import Access


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that signs for the server and for the service."""
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def access(ca: Authority) -> Access:
    """What opens the store: the authority to trust, and a certificate to show."""
    cert_file, key_file = ca.issue("leasehold")
    return Access(ca_file=ca.ca_file, cert_file=cert_file, key_file=key_file)


def options(ca: Authority, tls_port: int) -> tuple[str, ...]:
    """Return what makes a server take TLS, from those only that show a certificate."""
    cert_file, key_file = ca.issue(f"server-{tls_port}", "IP:127.0.0.1")
    return (
        *("--tls-port", str(tls_port), "--tls-ca-cert-file", str(ca.ca_file)),
        *("--tls-cert-file", str(cert_file), "--tls-key-file", str(key_file)),
    )


@contextmanager
def server_with_tls(ca: Authority, *more: str) -> Iterator[tuple[RedisServer, int]]:
    """Run a server and return it with its port for TLS."""
    tls_port = free_port()
    with RedisServer("redis7", (*options(ca, tls_port), *more)) as server:
        yield server, tls_port


async def trouble_of(url: str, access: Access) -> StoreTrouble | None:
    """Return what keeps a link from its store, or None."""
    async with link_to(url, access=access, connect_timeout_s=1) as link:
        try:
            await link.ping(soon())
        except StoreUnavailableError as error:
            return error.trouble
    return None


async def test_tls_server_is_trusted_by_its_authority_and_its_name(
    ca: Authority, access: Access, tmp_path: Path
) -> None:
    """Wrong authority, wrong name, no certificate to show or no TLS: no store; else it is one."""
    other = authority(tmp_path)
    strange = Access(ca_file=other.ca_file, cert_file=access.cert_file, key_file=access.key_file)
    unnamed = Access(ca_file=ca.ca_file)
    with server_with_tls(ca) as (server, port):
        assert await trouble_of(f"rediss://{LOGIN}127.0.0.1:{port}", access) is None
        for url, shown in (
            (f"rediss://{LOGIN}127.0.0.1:{port}", strange),
            (f"rediss://{LOGIN}localhost:{port}", access),
            (f"rediss://{LOGIN}127.0.0.1:{port}", unnamed),
            (f"rediss://{LOGIN}127.0.0.1:{server.port}", access),
            (f"redis://{LOGIN}127.0.0.1:{port}", access),
        ):
            assert await trouble_of(url, shown) is StoreTrouble.UNREACHABLE


async def test_tls_many_commands_share_a_connection_that_breaks_and_comes_back(
    ca: Authority, access: Access
) -> None:
    """The link is the same one behind TLS: in one go, in order, and again after a restart."""
    with server_with_tls(ca) as (server, port):
        url = as_prober(f"rediss://{LOGIN}127.0.0.1:{port}")
        async with link_to(url, access=access, retries=5) as link:
            for _ in range(2):
                texts = [f"{number}" * 100 for number in range(300)]
                asked = (link.read("ECHO", text, deadline=soon()) for text in texts)
                assert list(await asyncio.gather(*asked)) == texts
                assert len(server.links()) == 1
                server.stop()
                server.start()


async def test_tls_cluster_is_mapped_and_asked_by_tls(ca: Authority, access: Access) -> None:
    """The nodes that a cluster names are reached by TLS as well."""
    with server_with_tls(ca, "--cluster-enabled", "yes", "--tls-cluster", "yes") as (server, port):
        ask(server, "CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        url = f"rediss+cluster://{LOGIN}127.0.0.1:{port}"
        async with link_to(url, access=access) as link:
            async with asyncio.timeout(20):
                while await trouble_of(url, access):
                    await asyncio.sleep(0.02)
            found = await link.read_everywhere("INFO", "server", deadline=soon())

    assert {at: port_in(info) for at, info in found.items()} == {f"127.0.0.1:{port}": server.port}


async def test_tls_sentinel_and_its_primary_are_asked_by_tls(ca: Authority, access: Access) -> None:
    """Sentinels are reached by TLS, and so is the server that they name."""
    watcher_port = free_port()
    lines = " ".join(options(ca, watcher_port)).split("--")[1:]
    watcher = SentinelServer("redis7", ("tls-replication yes", *lines))
    with ExitStack() as stack:
        server, port = stack.enter_context(server_with_tls(ca, "--tls-replication", "yes"))
        watcher.watch(port, down_after_ms=1000)
        # One Sentinel is asked, so one has to be enough.
        stack.enter_context(watcher)
        ask(watcher, "SENTINEL", "SET", SERVICE, "quorum", 1)
        url = f"rediss+sentinel://{LOGIN}127.0.0.1:{watcher_port}/{SERVICE}"
        async with asyncio.timeout(20):
            while await trouble_of(url, access):
                await asyncio.sleep(0.02)
        async with link_to(url, access=access) as link:
            assert port_in(await link.read("INFO", "server", deadline=soon())) == server.port
