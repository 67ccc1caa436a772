"""A short run of the fuzzer, and that it can see; ``make fuzz`` sends a million inputs."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.fuzz import target, wire
from tests.fuzz.messages import Filler
from tests.fuzz.target import AbortError, Method

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.rpc import server

ROOT = Path(__file__).parents[2]
PATH = f"/{server.V2}/CreateLease"


def method(handle: Any) -> dict[str, Method]:
    """Return a service of one method that a test answers itself."""
    made = Method(server.V2, pb.CreateLeaseRequest, pb.CreateLeaseResponse, handle)
    return {PATH: made}


def test_fuzz_of_every_method_finds_nothing() -> None:
    """Whatever bytes arrive: no crash, no hang, and only the answers that the API has."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--inputs", "20000", "--jobs", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    for service in ("v2", "v0", "leasehold.v1"):
        assert f"{service} OK" in run.stdout
        assert f"{service} INVALID_ARGUMENT" in run.stdout


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE])
async def test_fuzz_of_a_service_with_a_bug_finds_it(code: grpc.StatusCode) -> None:
    """A status that no request may cause is found, with the bytes to send again."""

    async def fails(_raw: bytes, _context: Any) -> None:
        raise AbortError(code)

    answers, findings = await target.fuzz("seed", 3, method(fails))

    assert answers.total() == 3
    assert [(it.path, it.answered) for it in findings] == [(PATH, code.name)] * 3
    assert findings[0].raw.hex() in str(findings[0])


async def test_fuzz_of_a_service_that_raises_finds_it() -> None:
    """What falls through every table is found."""

    async def fails(_raw: bytes, _context: Any) -> None:
        raise KeyError("x")

    _, findings = await target.fuzz("seed", 1, method(fails))

    assert [finding.answered for finding in findings] == ["KeyError('x')"]


@pytest.mark.parametrize(
    ("is_busy", "answered"), [(True, "HangError()"), (False, "TimeoutError()")]
)
async def test_fuzz_of_a_service_that_hangs_finds_it(
    is_busy: bool, answered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that never ends is given up and found, busy or asleep."""
    monkeypatch.setattr(target, "_HANGS_AFTER_S", 0.2)

    async def hangs(_raw: bytes, _context: Any) -> None:
        while is_busy:
            pass
        await asyncio.sleep(60)

    _, findings = await target.fuzz("seed", 1, method(hangs))

    assert [finding.answered for finding in findings] == [answered]


def test_fields_of_a_message_are_where_they_are() -> None:
    """A message is taken apart as protobuf does it, and put together again it is the same."""
    raw = Filler(random.Random(1)).request(pb.CreateBookingRequest, is_whole=True)

    found = list(wire.fields(raw))

    assert b"".join(raw[begin:end] for begin, _, end, _ in found) == raw
    assert len(found) == len(pb.CreateBookingRequest.FromString(raw).ListFields())


@pytest.mark.parametrize("change", wire.CHANGES, ids=lambda change: change.__name__)
def test_spoil_changes_the_bytes(change: wire.Change) -> None:
    """Every way of spoiling a message does spoil it, of any message at some time."""
    raw = Filler(random.Random(1)).request(pb.CreateLeaseRequest, is_whole=True)
    chance = random.Random(1)

    spoilt = {change(raw, chance) for _ in range(50)} - {raw}

    assert spoilt
    assert change(b"", chance) is not None
