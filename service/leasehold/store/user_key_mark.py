"""Whether the store's users are digested with a key that this process holds."""

from enum import StrEnum

from leasehold.model.deadline import Deadline
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.model.user_keys import NO_KEY, UserKeys
from leasehold.store import keys, scripts
from leasehold.store.link import Link

_NAME = "users"
_SHOWN = 8
_KEYLESS = "LEASEHOLD_USER_KEY_FILE has no key: a reader of key names can try out user ids"


class MarkUserKeyStatus(StrEnum):
    """Every answer to mark_user_key, in order of precedence; see lua/mark_user_key.lua."""

    OTHER = "other"
    MARKED = "marked"


class UserKeyMark:
    """The fingerprint of the key that writes, which stands beside the marker of the store.

    ``writes`` says that this process digests what it writes, so its key is the one that writes from
    its first look on. Later it only compares: of two processes in a rotation, neither undoes what
    the other has marked.
    """

    def __init__(self, link: Link, user_keys: UserKeys, *, writes: bool) -> None:
        self._link = link
        self._user_keys = user_keys
        self._writes = writes
        self._mark_user_key = scripts.load("mark_user_key")
        self._is_held, self._was_held = False, False

    async def admit(self, deadline: Deadline) -> None:
        """Return if users may be looked for and written; raises as Link.run does."""
        if not self._is_held:
            await self.look(deadline)
        if not self._is_held:
            raise StoreUnavailableError(StoreTrouble.USER_KEY)

    async def look(self, deadline: Deadline) -> Finding:
        """Compare, and mark the key if it is to write; raises as Link.run does."""
        try:
            found = await self._look(deadline)
        except StoreUnavailableError as error:
            # Without a key all is as before there were any, also for a user with too few rights.
            if error.trouble is not StoreTrouble.ACCESS_DENIED or self._user_keys.has_key:
                raise
            found = NO_KEY
        self._is_held = found in self._user_keys.fingerprints
        self._was_held |= self._is_held
        return self._finding(found)

    async def _look(self, deadline: Deadline) -> str:
        """Return the fingerprint that stands in the store now."""
        own = self._user_keys.fingerprints
        found: str | None = await self._link.read("GET", keys.USER_KEY_KEY, deadline=deadline)
        if found and (self._was_held or not self._writes):
            return found
        if not found and own == (NO_KEY,):
            return NO_KEY
        is_new = self._was_held or not (found or await self._has_marker(deadline))
        if not self._writes:
            return own[0] if is_new else NO_KEY
        arguments: list[str | int] = [own[0], " ".join(own), int(is_new)]
        status, *other = await self._link.run(
            self._mark_user_key, [keys.USER_KEY_KEY], arguments, deadline
        )
        return str(other[0]) if status == MarkUserKeyStatus.OTHER else own[0]

    async def _has_marker(self, deadline: Deadline) -> bool:
        """Tell whether some process has served from this store before."""
        for tag, node in (await self._link.shards(deadline)).items():
            words = ("HMGET", keys.marker_key(tag), "id")
            (data_set,) = await self._link.read_on(node, *words, deadline=deadline)
            if data_set:
                return True
        return False

    def _finding(self, found: str) -> Finding:
        own = self._user_keys.fingerprints
        if found not in own:
            how = f"with key {found[:_SHOWN]}" if found != NO_KEY else "without a key"
            held = ", ".join(it[:_SHOWN] for it in own)
            detail = f"the store's users are digested {how}; LEASEHOLD_USER_KEY_FILE holds {held}"
            return Finding(_NAME, "failed", detail)
        if not self._user_keys.has_key:
            return Finding(_NAME, "warning", _KEYLESS)
        detail = f"users are digested with key {own[0][:_SHOWN]}; keys that are read: {len(own)}"
        return Finding(_NAME, "ok", detail)
