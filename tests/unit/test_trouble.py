import pytest
from redis import exceptions as redis_errors
from redis._parsers.base import BaseParser

from leasehold.model.errors import StoreTrouble
from leasehold.store import trouble

# What servers have been seen to answer, inside a script on 6.2 and on later ones, and outside.
ANSWERS = {
    "LOADING Redis is loading the dataset in memory": StoreTrouble.LOADING,
    "READONLY You can't write against a read only replica.": StoreTrouble.READ_ONLY,
    "READONLY You can't write against a read only replica. script: 3ab, on @user_script:58.": (
        StoreTrouble.READ_ONLY
    ),
    "ERR Error running script (call to f_3ab): @user_script:58: @user_script: 58: "
    "-READONLY You can't write against a read only replica.": StoreTrouble.READ_ONLY,
    "NOREPLICAS Not enough good replicas to write.": StoreTrouble.NO_REPLICAS,
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.": (
        StoreTrouble.NOT_PERSISTING
    ),
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": (
        StoreTrouble.BUSY
    ),
    "CLUSTERDOWN Hash slot not served": StoreTrouble.CLUSTER_DOWN,
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": (
        StoreTrouble.CLUSTER_DOWN
    ),
    "TRYAGAIN Multiple keys request during rehashing of slot": StoreTrouble.MIGRATING,
    "ASK 3999 127.0.0.1:6381": StoreTrouble.MIGRATING,
    "MOVED 3999 127.0.0.1:6381": StoreTrouble.MIGRATING,
    "ERR Error running script (call to f_3ab): @user_script:58: @user_script: 58: "
    "Script attempted to access a non local key in a cluster node": StoreTrouble.MIGRATING,
    "ERR Attempted to access a non local key in a cluster node script: 3ab, on @user_script:66.": (
        StoreTrouble.MIGRATING
    ),
    "ERR Error running script (call to f_3ab): @user_script:58: @user_script: 58: "
    "Lua script attempted to access a non local key in a cluster node": StoreTrouble.MIGRATING,
    "ERR Script attempted to execute a write command while the cluster is down and readonly "
    "script: 3ab, on @user_script:58.": StoreTrouble.CLUSTER_DOWN,
    "ERR Can not execute a write command 'SET' while the cluster is down and readonly "
    "script: 3ab, on @user_script:58.": StoreTrouble.CLUSTER_DOWN,
    "OOM command not allowed when used memory > 'maxmemory'.": StoreTrouble.OUT_OF_MEMORY,
    "ERR Error running script (call to f_3ab): @user_script:58: @user_script: 58: "
    "-OOM command not allowed when used memory > 'maxmemory'.": StoreTrouble.OUT_OF_MEMORY,
    "NOAUTH Authentication required.": StoreTrouble.ACCESS_DENIED,
    "WRONGPASS invalid username-password pair or user is disabled.": StoreTrouble.ACCESS_DENIED,
    "NOPERM this user has no permissions to run the 'evalsha' command": StoreTrouble.ACCESS_DENIED,
    "ERR Error running script (call to f_3ab): @user_script:58: @user_script: 58: "
    "The user executing the script can't run this command or subcommand": (
        StoreTrouble.ACCESS_DENIED
    ),
    "ERR The user executing the script can't access at least one of the keys mentioned in the "
    "command arguments script: 3ab, on @user_script:58.": StoreTrouble.ACCESS_DENIED,
    "ERR ACL failure in script: No permissions to access a key script: 3ab, on @user_script:58.": (
        StoreTrouble.ACCESS_DENIED
    ),
    "ERR max number of clients reached": StoreTrouble.UNREACHABLE,
}


@pytest.mark.parametrize(("answer", "meaning"), ANSWERS.items())
def test_every_known_answer_of_redis_has_its_meaning(answer: str, meaning: StoreTrouble) -> None:
    """What Redis says reaches the caller as the trouble that it is."""
    assert trouble.from_redis(BaseParser.parse_error(answer)) is meaning


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (redis_errors.ConnectionError("Connection closed by server."), StoreTrouble.UNREACHABLE),
        (redis_errors.TimeoutError("Timeout reading from socket"), StoreTrouble.UNREACHABLE),
        (redis_errors.InvalidResponse("Protocol error"), StoreTrouble.UNREACHABLE),
        (ConnectionResetError(104, "reset"), StoreTrouble.UNREACHABLE),
        (redis_errors.RedisClusterException("no node"), StoreTrouble.CLUSTER_DOWN),
    ],
)
def test_a_broken_link_has_its_meaning(error: Exception, meaning: StoreTrouble) -> None:
    """A connection that breaks is trouble of the store, too."""
    assert trouble.from_redis(error) is meaning


@pytest.mark.parametrize(
    "answer",
    [
        "ERR Error running script (call to f_3ab): @user_script:58: attempt to index a nil value",
        "ERR wrong number of arguments for 'evalsha' command",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "CROSSSLOT Keys in request don't hash to the same slot",
    ],
)
def test_a_mistake_of_ours_is_not_trouble_of_the_store(answer: str) -> None:
    """A script that fails by itself is a bug, and is not answered with `try again`."""
    assert trouble.from_redis(BaseParser.parse_error(answer)) is None


def test_every_trouble_of_a_code_is_covered_here() -> None:
    """The samples above name every meaning of the table."""
    assert set(trouble._TROUBLE_BY_CODE.values()) <= set(ANSWERS.values())


@pytest.mark.parametrize("answer", [it for it, found in ANSWERS.items() if "ACCESS" in found])
def test_right_that_is_missing_asks_for_no_new_connection(answer: str) -> None:
    """A new connection cures a password of yesterday; the rights of a user stay as they are."""
    error = BaseParser.parse_error(answer)

    assert trouble.lacks_a_right(error) == (not answer.startswith(("NOAUTH", "WRONGPASS")))
