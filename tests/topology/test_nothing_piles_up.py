"""What has ended leaves nothing behind, however much of it there was (failure mode 14)."""

import asyncio
from dataclasses import replace

import pytest
from tests.backends import TERMS, Backend, real_backend, soon
from tests.servers import poll, running

from leasehold.model.lease import CreateLease, CreateLeaseStatus
from leasehold.model.slot import Slot

BRIEF = replace(TERMS, min_lease_ms=50, retention_ms=100)
AT_A_TIME = 500
# What a server keeps for itself once it has been busy.
LITTLE_BYTES = 2_000_000


@pytest.mark.parametrize(
    "cycles",
    [5_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1200)])],
)
async def test_grants_that_have_ended_leave_no_key_and_no_memory(cycles: int) -> None:
    """After as many holds as one likes, keys and memory are what they were before."""
    with running("valkey9") as server, server.client() as client:

        def used_bytes() -> int:
            return int(client.info("memory")["used_memory"])

        async with real_backend(server) as backend:
            await grant(backend, 0, await backend.now_ms())
            poll("the first hold is forgotten", lambda: client.dbsize() == 0)
            before = used_bytes()
            for first in range(0, cycles, AT_A_TIME):
                now_ms = await backend.now_ms()
                grants = (grant(backend, first + number, now_ms) for number in range(AT_A_TIME))
                await asyncio.gather(*grants)
            poll("all holds are forgotten", lambda: client.dbsize() == 0)
        poll(
            "the memory is back",
            lambda: used_bytes() < before + LITTLE_BYTES,
        )


async def grant(backend: Backend, number: int, now_ms: int) -> None:
    """Hold a slot of its own for a moment."""
    slot = Slot(backend.merchant, "haircut", now_ms // 1000 + 86_400, 1800, staff_id=f"{number}")
    command = CreateLease(slot, f"r-{number}", now_ms + 5000)
    outcome = await backend.store(replace(BRIEF, max_lease_ms=2000)).create_lease(command, soon())
    assert outcome.status is CreateLeaseStatus.CREATED
