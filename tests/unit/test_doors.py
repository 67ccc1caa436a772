"""Certificates of ops HTTP, which are read a second time when they are to be shown."""

import asyncio
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.tls import Pair, house

from leasehold import doors as doors_module
from leasehold.doors import Doors
from leasehold.listeners import Door
from leasehold.settings import Settings
from leasehold.telemetry import metrics


@pytest.mark.parametrize("spoilt", ["ended", "missing"])
async def test_ops_shows_nothing_of_files_that_changed_after_they_were_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    """What is written between the two readings is not shown, and does not end the looks."""
    at_home = house(tmp_path)
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    first, good, ended = (
        at_home.servers.issue(name, "IP:127.0.0.1", days=days)
        for name, days in (("first", 2), ("good", 2), ("ended", 0))
    )
    put(first, files)
    settings = Settings(
        ops_listen="127.0.0.1:0", ops_tls_cert_file=files[0], ops_tls_key_file=files[1]
    )
    doors = Doors(settings)
    serving, at = await doors.open_ops(web.Application())
    load, loads = doors_module._context, []

    def write_then_load(door: Door) -> ssl.SSLContext:
        put(ended, files)
        if spoilt == "missing":
            files[1].unlink()
        loads.append(door)
        return load(door)

    monkeypatch.setattr(doors_module, "_context", write_then_load)
    put(good, files)
    async with serving:
        looking = doors.start()
        failures = metrics.credential_reload_failures.labels("ops")
        before = failures._value.get()
        async with asyncio.timeout(20):
            while not loads or failures._value.get() == before:
                await asyncio.sleep(0.01)
                assert not [task for task in looking if task.done()]
        shown = await asyncio.to_thread(at_home.shown, str(at))
        doors.stop()
        await asyncio.gather(*looking)

    assert shown == x509.load_pem_x509_certificate(first[0].read_bytes()).public_bytes(Encoding.DER)


def put(pair: Pair, files: Pair) -> None:
    """Write certificate and key."""
    for source, file in zip(pair, files, strict=True):
        file.write_bytes(source.read_bytes())
