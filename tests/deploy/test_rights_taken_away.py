"""A store's user who loses a right while calls are made: no call is carried out by half."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from tests.backends import link_to
from tests.servers import SERVICE, RedisServer, access_list
from tests.store_steps import Step, all_steps, new_slot

from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.slot import Slot
from leasehold.store import scripts
from leasehold.store.doctor import Doctor

RULES = access_list()[SERVICE]
QUICK = {"+hset", "+set", "+pexpireat", "+xadd", "~lease:{*", "%R~lease:{*", "%R~booking:{*"}
"""Those that have left something half-written."""
# A pattern is taken away whole, or for writing only.
TAKEN = [
    pytest.param(rule, marks=() if rule in QUICK else pytest.mark.long)
    for granted in RULES
    if granted[0] in "+~"
    for rule in ([granted] if granted[0] == "+" else [granted, f"%R{granted}"])
]
DENIED = str(StoreTrouble.ACCESS_DENIED)
NOTED = ("slot:", "lease:", "booking:", "events:", "expiring:")
"""What one call changes in one step, by the names of its keys."""
DUMPS = {"string": "GET", "hash": "HGETALL", "zset": "ZRANGE", "stream": "XRANGE"}


@pytest.fixture(scope="module", params=["redis7", pytest.param("valkey9", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server whose users are those of the list, and that answers what a user may do."""
    with RedisServer(request.param) as server:
        yield server


@contextmanager
def without(tester: redis.Redis, rule: str) -> Iterator[None]:
    """Take one rule away from the service's user for a while, or leave it reading only."""
    rules = [it for it in RULES if it != rule.removeprefix("%R")]
    rules += [rule] if rule.startswith("%R") else []
    tester.execute_command("ACL", "SETUSER", SERVICE, *rules)
    try:
        yield
    finally:
        tester.execute_command("ACL", "SETUSER", SERVICE, *RULES)


def dump(tester: redis.Redis, merchant: str) -> dict[str, Any]:
    """Return what leases, bookings and events of a merchant there are; every key has an end."""
    found: dict[str, Any] = {}
    for key in tester.scan_iter(match=f"*:{{{merchant}}}*", count=10_000):
        assert tester.pttl(key) > 0, f"{key} stays for ever"
        if key.startswith(NOTED):
            words = {"ZRANGE": ("0", "-1"), "XRANGE": ("-", "+")}
            command = DUMPS[str(tester.type(key))]
            found[key] = tester.execute_command(command, key, *words.get(command, ()))
    return found


def orphans(found: dict[str, Any]) -> list[str]:
    """Return the records that do not belong to what they name."""
    wrong = []
    for key, record in found.items():
        family, _, rest = key.partition(":")
        tag, _, suffix = rest.partition(":")
        spot = f"slot:{tag}:{record['slot']}#{record['spot']}" if family == "lease" else ""
        match family:
            case "booking" if record["status"] == "confirmed":
                spot = f"slot:{tag}:{record['current_slot']}#{record['spot']}"
                is_right = found.get(spot) == f"booking {suffix} {record['user']}"
            case "lease" if "booking" in record:
                is_right = f"booking:{tag}:{record['booking']}" in found
            case "lease" if "released_at_ms" not in record:
                is_right = found.get(spot) == f"lease {suffix}"
            case _:
                is_right = True
        wrong += [] if is_right else [key]
    return wrong


def goes_on(call: str, rule: str) -> bool:
    """Tell whether a call may be refused after its first script: the same call then goes on.

    A person is forgotten one booking after the other; a move stands before the index knows of it.
    """
    move, index = (scripts.load(it).header.rights for it in ("update_booking", "index_booking"))
    of_index = {f"+{right.command.lower()}" for right in index}
    # A move asks for the PTTL of spots only where a slot has many of them.
    of_index -= {f"+{right.command.lower()}" for right in move} - {"+pttl"}
    is_of_index = rule in of_index or "~bookings-of:" in rule
    return call == "forget_user" or (call == "update_booking" and is_of_index)


async def answer_of(call: Callable[[], Awaitable[Any]]) -> str:
    """Return the status of a call, or its trouble with the store."""
    try:
        outcome = await call()
    except StoreUnavailableError as error:
        return str(error.trouble)
    except StopAsyncIteration:
        return "nothing there"
    return str(getattr(outcome, "status", ""))


async def walk(store: RedisServer, rule: str | None) -> list[tuple[str, str]]:
    """Make every call, each first without a rule; return the answers once the rule is there."""
    slot, answers = new_slot(), []
    with store.client() as tester:
        async with link_to(store.url) as link:
            for step in all_steps(link, slot):
                answer = await _try_without(tester, slot, rule, step) if rule else DENIED
                answer = await answer_of(step[1]) if answer == DENIED else answer
                answers.append((step[0], answer))
            examination = await Doctor(link, 0, 86_400, 0).examine()
    assert examination.complaints == [], rule
    return answers


async def _try_without(tester: redis.Redis, slot: Slot, rule: str, step: Step) -> str:
    before = dump(tester, slot.merchant_id)
    with without(tester, rule):
        answer = await answer_of(step[1])
    after = dump(tester, slot.merchant_id)
    assert orphans(after) == [], f"{step[0]} without {rule}"
    if answer == DENIED and not goes_on(step[0], rule):
        assert after == before, f"{step[0]} without {rule}"
    return answer


@pytest.fixture(scope="module")
def usual(store: RedisServer) -> list[tuple[str, str]]:
    """Return what every call says where nothing is missing."""
    return asyncio.run(walk(store, None))


@pytest.mark.parametrize("rule", TAKEN)
async def test_call_without_a_right_is_refused_and_changes_nothing(
    store: RedisServer, usual: list[tuple[str, str]], rule: str
) -> None:
    """A command or a key pattern is missing: a call is refused whole (failure mode 53)."""
    found = await walk(store, rule)

    assert [it for it in found if DENIED in it] == []
    assert [it for it in found if not goes_on(it[0], rule)] == [
        it for it in usual if not goes_on(it[0], rule)
    ]
