"""`leasehold health`: what a container's supervisor asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import authority
from tests.servers import free_port, poll, running
from tests.service import Service, run, serving


@pytest.fixture(scope="module")
def unready() -> Iterator[Service]:
    """A service whose store is not there."""
    with serving(REDIS_URL=f"redis://127.0.0.1:{free_port()}") as service:
        yield service


def test_health_of_a_process_follows_its_readiness() -> None:
    """Exit code 0 and a line while it wants calls; 1 and the reason as soon as it does not."""
    with (
        running("valkey9") as server,
        serving(REDIS_URL=server.url, UNREADY_AFTER_S="0.2") as service,
    ):
        settings = {"OPS_LISTEN": str(service.told["ops_listen"])}
        poll("ready", lambda: service.http("/readyz")[0] == 200)
        well = run("health", settings=settings)
        assert (well.returncode, well.stdout) == (0, f"{settings['OPS_LISTEN']} is ready\n")

        server.stop()
        poll("unready", lambda: service.http("/readyz")[0] == 503)
        ill = run("health", settings=settings)
        assert ill.returncode == 1
        assert f"{settings['OPS_LISTEN']} is not ready: [-] store failed: " in ill.stderr


def test_health_live_of_a_process_without_its_store_is_good(unready: Service) -> None:
    """Who waits for the store is alive: a restart would help nobody."""
    settings = {"OPS_LISTEN": str(unready.told["ops_listen"])}

    assert run("health", settings=settings).returncode == 1
    alive = run("health", "--live", settings=settings)
    assert (alive.returncode, alive.stdout) == (0, f"{settings['OPS_LISTEN']} is alive\n")


def test_health_of_a_process_with_tls_and_tokens_is_told(tmp_path: Path) -> None:
    """The program's own question needs neither a certificate that fits nor a token."""
    certificate, key = authority(tmp_path).issue("partners.example")
    token = tmp_path / "tokens"
    token.write_text("a-token-that-is-long-enough-for-anybody\n")
    ops = {"OPS_TLS_CERT_FILE": str(certificate), "OPS_TLS_KEY_FILE": str(key)}
    settings = {**ops, "OPS_TOKEN_FILE": str(token)}
    with (
        running("valkey9") as server,
        serving(REDIS_URL=server.url, UNREADY_AFTER_S="0.2", **settings) as service,
    ):
        settings["OPS_LISTEN"] = str(service.told["ops_listen"])
        poll("ready", lambda: run("health", settings=settings).returncode == 0)

        server.stop()
        poll("unready", lambda: run("health", settings=settings).returncode == 1)
        assert run("health", "--live", settings=settings).returncode == 0


@pytest.mark.parametrize(
    ("everywhere", "here"),
    [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")],  # noqa: S104 - nothing listens there
)
def test_health_of_a_process_that_listens_everywhere_asks_here(everywhere: str, here: str) -> None:
    """An address to listen at is not one to call: the loopback of its kind is."""
    settings = {"OPS_LISTEN": f"{everywhere}:{free_port()}", "ALLOW_PLAINTEXT": "true"}
    asked = run("health", settings=settings)

    assert asked.stderr.startswith(f"{here}:")


def test_health_where_nobody_answers_says_so() -> None:
    """Nobody there is exit code 1, with a line and no traceback."""
    ended = run("health", settings={"OPS_LISTEN": f"127.0.0.1:{free_port()}"})

    assert ended.returncode == 1
    assert "does not answer: " in ended.stderr
    assert "Traceback" not in ended.stderr
