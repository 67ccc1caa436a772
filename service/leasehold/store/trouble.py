"""One table from what Redis says to what it means for a caller.

Source: contract 6.2, "Store trouble"; Redis answers with an error code as the first word.
"""

import re

from redis import exceptions as redis_errors

from leasehold.model.errors import StoreTrouble

_TROUBLE_BY_CODE = {
    "LOADING": StoreTrouble.LOADING,
    "READONLY": StoreTrouble.READ_ONLY,
    "NOREPLICAS": StoreTrouble.NO_REPLICAS,
    "MISCONF": StoreTrouble.NOT_PERSISTING,
    "BUSY": StoreTrouble.BUSY,
    "CLUSTERDOWN": StoreTrouble.CLUSTER_DOWN,
    "MASTERDOWN": StoreTrouble.CLUSTER_DOWN,
    "TRYAGAIN": StoreTrouble.MIGRATING,
    "ASK": StoreTrouble.MIGRATING,
    "MOVED": StoreTrouble.MIGRATING,
    "OOM": StoreTrouble.OUT_OF_MEMORY,
    "NOAUTH": StoreTrouble.ACCESS_DENIED,
    "WRONGPASS": StoreTrouble.ACCESS_DENIED,
    "NOPERM": StoreTrouble.ACCESS_DENIED,
}

WORTH_ANOTHER_TRY = frozenset(
    {
        StoreTrouble.UNREACHABLE,
        StoreTrouble.LOADING,
        StoreTrouble.READ_ONLY,
        StoreTrouble.CLUSTER_DOWN,
        StoreTrouble.MIGRATING,
    }
)
"""What may pass within one call: a broken connection, a failover, a slot on the move."""

WORTH_ANOTHER_CONNECTION = frozenset(
    {StoreTrouble.READ_ONLY, StoreTrouble.CLUSTER_DOWN, StoreTrouble.ACCESS_DENIED}
)
"""What a new connection may cure: after a failover the old one leads to the old primary, and one
that was opened with a password of yesterday stays shut out."""

_BROKEN = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.InvalidResponse,
    OSError,
)
# Redis 6.2 wraps what a command inside a script answered:
# "Error running script (call to f_<sha>): @user_script:58: -OOM command not allowed ...".
_INSIDE_A_SCRIPT = re.compile(r"^(?:ERR )?Error running script.*?: -(?P<code>[A-Z]+) ")
# A cluster answers so inside a script, each version in its own words, when a key that the script
# asks for has moved away meanwhile, and when a cluster that is down still takes reads.
_MOVED_AWAY = "ttempted to access a non local key in a cluster node"
# So a script of ours ends when only a later release knows a record (lua/include/read_record.lua).
_LAYOUT_UNKNOWN = "LAYOUT_UNKNOWN "
_DOWN_FOR_WRITES = "while the cluster is down"
# So a script is told that the user may not run one of its commands, or not on this key.
_DENIED_INSIDE_A_SCRIPT = re.compile(r"The user executing the script can't|ACL failure in script")


def from_redis(error: Exception) -> StoreTrouble | None:
    """Tell what an exception of redis-py means, or None when it is a mistake of ours."""
    if isinstance(error, redis_errors.RedisClusterException):
        return StoreTrouble.CLUSTER_DOWN
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return StoreTrouble.ACCESS_DENIED
    code = _code(error)
    if code in _TROUBLE_BY_CODE:
        return _TROUBLE_BY_CODE[code]
    if isinstance(error, _BROKEN):
        return StoreTrouble.UNREACHABLE
    if _MOVED_AWAY in str(error):
        return StoreTrouble.MIGRATING
    if _DOWN_FOR_WRITES in str(error):
        return StoreTrouble.CLUSTER_DOWN
    if _LAYOUT_UNKNOWN in str(error):
        return StoreTrouble.LAYOUT_UNKNOWN
    if _DENIED_INSIDE_A_SCRIPT.search(str(error)):
        return StoreTrouble.ACCESS_DENIED
    return None


def lacks_a_right(error: Exception) -> bool:
    """Tell whether the store's user may not do this, which a new connection does not change."""
    return (
        isinstance(error, redis_errors.NoPermissionError)
        or _code(error) == "NOPERM"
        or bool(_DENIED_INSIDE_A_SCRIPT.search(str(error)))
    )


def _code(error: Exception) -> str:
    # redis-py takes the codes that it knows off the message and keeps them beside it.
    status_code = getattr(error, "status_code", None)
    if status_code and status_code != "ERR":
        return str(status_code)
    wrapped = _INSIDE_A_SCRIPT.match(str(error))
    return wrapped["code"] if wrapped else str(error).partition(" ")[0]
