"""Which rights the store's user lacks, asked of the store itself; nothing there changes."""

from redis.exceptions import ResponseError

from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.store import keys, rights, scripts
from leasehold.store.link import Link
from leasehold.store.node import Node

_UNKNOWN_COMMAND = "unknown command"


async def of_scripts(link: Link, tag: str, deadline: Deadline) -> list[str] | None:
    """Return the rules for scripts that the user lacks on the shard of a hash tag.

    None when no script may be run, or not on the keys of slots.
    """
    script = scripts.load("check_permissions")
    wanted = {
        f"{right.command} {rights.key_of(right.family, tag)}": right for right in rights.of_keys()
    }
    asked = "".join(f"{line}\n" for line in wanted)
    try:
        _, denied = await link.run(script, [keys.probe_key(tag)], [asked], deadline)
    except ResponseError:
        return None
    except StoreUnavailableError as error:
        if error.trouble is StoreTrouble.ACCESS_DENIED:
            return None
        raise
    return rights.lacking(wanted[line] for line in str(denied).splitlines())


async def lacking(link: Link, deadline: Deadline) -> dict[str, list[str]]:
    """Return every rule that the user lacks, by the address of each primary.

    Raises as Link.run does when one does not answer at all.
    """
    found = {}
    for tag, node in (await link.shards(deadline)).items():
        of_link = [
            f"+{name}"
            for name, words in rights.OF_THE_LINK.items()
            if not await _may(link, node, words, deadline)
        ]
        of_keys = await of_scripts(link, tag, deadline)
        if of_keys is None:
            # Which of the others are missing can be asked once scripts may be run.
            of_keys = [] if of_link else list(rights.patterns("slot"))
        found[node.address] = of_keys + of_link
    return found


async def _may(link: Link, node: Node, words: tuple[str, ...], deadline: Deadline) -> bool:
    try:
        await link.read_on(node, *words, deadline=deadline)
    except ResponseError as error:
        # It is refused for another reason, so it is allowed.
        return _UNKNOWN_COMMAND not in str(error)
    except StoreUnavailableError as error:
        if error.trouble is not StoreTrouble.ACCESS_DENIED:
            raise
        return False
    return True
