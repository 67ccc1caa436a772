"""The service's user in deploy/redis/users.acl: take any command away, and something fails."""

from collections.abc import Iterator

import pytest
from tests.backends import link_to, soon
from tests.make_acl import OF_THE_RELEASE_BEFORE
from tests.servers import SERVICE, RedisServer, access_list
from tests.store_steps import all_steps, new_slot

from leasehold.model.errors import StoreUnavailableError
from leasehold.store import rights, safety

OF_OTHER_STORES = {"role", "asking", "cluster|slots", "cluster|nodes"}
"""What only Sentinels and clusters need; the tests of those fail without it."""
MAY_BE_DENIED = {"info", "wait", "acl|dryrun"}
"""What is a warning where it is missing, because a managed store does not allow it."""
ALLOWED = {
    rule[1:]
    for rule in access_list()["leasehold"]
    if rule.startswith("+") and rule not in OF_THE_RELEASE_BEFORE
}


@pytest.fixture(scope="module")
def store() -> Iterator[RedisServer]:
    """A server whose users are those of the list."""
    # Without PEXPIREAT, say, it is left with keys that have no TTL.
    with RedisServer("valkey9", ("--appendonly", "yes")) as server:
        yield server


async def refusals(store: RedisServer) -> list[str]:
    """Do everything, and return what was refused."""
    found = []
    async with link_to(store.url) as link:
        for _, step in all_steps(link, new_slot()):
            try:
                await step()
            except (StoreUnavailableError, StopAsyncIteration) as error:
                found.append(str(error))
    return found


async def warnings(store: RedisServer) -> list[str]:
    """Return what the store is told to be able to tell, and does not."""
    async with link_to(store.url) as link:
        found = await safety.look(link, soon(), 0)
    return [each.detail for each in found if "not allowed" in each.detail]


async def test_service_user_may_do_all_that_is_asked(store: RedisServer) -> None:
    """With the list as it is nothing is refused."""
    assert await refusals(store) == []
    assert await warnings(store) == []


@pytest.mark.parametrize("command", sorted(ALLOWED - OF_OTHER_STORES))
async def test_service_user_without_a_command_is_refused_something(
    store: RedisServer, command: str
) -> None:
    """No command is allowed that nothing needs."""
    with store.client() as tester:
        # So that scripts are sent as they are, too.
        tester.script_flush()
        tester.execute_command("ACL", "SETUSER", SERVICE, f"-{command}")
        try:
            looks = warnings if command in MAY_BE_DENIED else refusals
            assert await looks(store)
        finally:
            tester.execute_command("ACL", "SETUSER", SERVICE, f"+{command}")


@pytest.mark.parametrize("name", ["redis7", "valkey9"])
async def test_service_user_with_each_command_on_its_own_keys_only_is_refused_nothing(
    name: str,
) -> None:
    """The headers of the scripts say of every command on which keys it is run."""
    every_key = [rule for rule in access_list()[SERVICE] if rule.startswith("~")]
    scripts = f"({' '.join(['+eval', '+evalsha', *every_key])})"
    narrow = [f"({' '.join(rights.rules([it]))})" for it in rights.of_keys() if it.family]
    link = [f"+{command}" for command in rights.OF_THE_LINK if not command.startswith("eval")]
    with RedisServer(name) as server:
        with server.client() as tester:
            words = ("resetkeys", "-@all", "+time", *link, scripts, *narrow)
            tester.execute_command("ACL", "SETUSER", SERVICE, *words)
        assert await refusals(server) == []
        assert await warnings(server) == []
