"""What the store's user must be allowed: what the scripts say of themselves, and the rest.

The rules of the service's user in ``deploy/redis/users.acl`` are made from this (``make acl``).
"""

from collections.abc import Iterable

from leasehold.store import scripts
from leasehold.store.scripts import Right

_MARKER = "marker"
_SINGLE_KEYS = ("feed", _MARKER)
"""Families of one key; the marker of a shard has a tag as well."""
_OF_PYTHON = """
    TIME; HMGET booking; HMGET lease; ZRANGE bookings-of; GET MGET slot;
    HLEN HSCAN inventory; HLEN HSCAN spots; HLEN HSCAN PTTL stage; HMGET feed; HMGET marker;
    SET ack
"""
"""What is asked beside the scripts: lists, the doctor, the inventory, replica acknowledgements."""
OF_THE_LINK: dict[str, tuple[str, ...]] = {
    "eval": ("EVAL", "return 1", "0"),
    "evalsha": ("EVALSHA", "0" * 40, "0"),
    "scan": ("SCAN", "0", "COUNT", "1"),
    "ping": ("PING",),
    "info": ("INFO", "server"),
    "wait": ("WAIT", "0", "1"),
    "acl|dryrun": ("ACL", "DRYRUN", "default", "EXEC"),
    "client|setname": ("CLIENT", "SETNAME", "leasehold"),
    "role": ("ROLE",),
    "asking": ("ASKING",),
    "cluster|slots": ("CLUSTER", "SLOTS"),
    "cluster|nodes": ("CLUSTER", "NODES"),
}
"""Commands without keys, as access lists name them, each with words that try it in vain."""


def of_keys() -> list[Right]:
    """Return every right that concerns keys, or a command of scripts, in order."""
    found = set(scripts.parse_rights(_OF_PYTHON))
    for name in scripts.names():
        found |= scripts.load(name).header.rights
    # The doctor looks at the TTL of every key.
    found |= {Right("PTTL", family) for _, family in found if family}
    return sorted(found)


def patterns(family: str) -> tuple[str, ...]:
    """Return the patterns of an access list for the keys of a family."""
    tagged = f"~{family}:{{*"
    if family == _MARKER:
        return f"~{family}", tagged
    return (f"~{family}",) if family in _SINGLE_KEYS else (tagged,)


def key_of(family: str, tag: str) -> str:
    """Name a key of a family, which scripts may look at; ``tag`` says on which shard."""
    if not family:
        return ""
    if family in _SINGLE_KEYS:
        return f"{family}:{{{tag}}}" if tag and family == _MARKER else family
    return f"{family}:{{{tag}}}:probe"


def rules(wanted: Iterable[Right]) -> list[str]:
    """Return the rules of an access list that grant these rights: key patterns, then commands."""
    found = set(wanted)
    families = sorted({right.family for right in found} - {""})
    keys = [pattern for family in families for pattern in patterns(family)]
    return keys + [f"+{name.lower()}" for name in sorted({right.command for right in found})]


def lacking(missing: Iterable[Right]) -> list[str]:
    """Return the fewest rules that would grant what is missing: key patterns, then commands."""
    left, wanted = set(missing), of_keys()
    found: list[str] = []
    for family in sorted({right.family for right in left} - {""}):
        of_family = {right for right in wanted if right.family == family}
        if of_family <= left:
            found += patterns(family)
            left -= of_family
    return found + [f"+{name.lower()}" for name in sorted({right.command for right in left})]
