"""``leasehold inventory``: load, show, drop."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.progress import Progress

from leasehold import bootstrap
from leasehold.cli import options
from leasehold.cli.console import (
    REFUSED,
    UNUSABLE,
    err,
    fail,
    load_settings,
    out,
    print_json,
    progress,
)
from leasehold.cli.sheet import Sheet, details
from leasehold.cli.storing import with_store
from leasehold.feed.files import Feed
from leasehold.feed.spool import spooled
from leasehold.model.errors import StoreTrouble, StoreUnavailableError
from leasehold.model.inventory import Committed, Fault, FeedError, ManyLeftOutError, Staged
from leasehold.settings import Settings
from leasehold.store.redis_inventory import RedisInventory

Answer = TypeVar("Answer")
_MOST_LINES = 20


def load(
    files: Annotated[
        list[Path],
        typer.Argument(help="All files of one feed: JSON or JSON.gz; - for standard input."),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Take nothing when any entry is at fault.")
    ] = False,
    keep_absent: Annotated[
        bool,
        typer.Option("--keep-absent", help="Keep merchants that a complete feed does not list."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Close them, however many there are.")] = False,
    as_json: options.AsRecords = False,
) -> None:
    """Make the inventory what a feed says, slot by slot; what closes comes first.

    Every fault is reported with its file, place and reason. Merchants that a feed which says
    PROCESS_AS_COMPLETE does not list are closed, and named. Exit code 0: all of it; 1: but for what
    is reported; 2: nothing of it; 3: no answer.
    """
    settings = load_settings()
    most_share = 1 if yes else settings.max_closed_share
    wanted = _Wanted(files, settings.max_slot_s, strict, None if keep_absent else most_share)
    with progress() as shown:
        try:
            staged, committed = _with_store(settings, lambda store: _load(store, wanted, shown))
        except ManyLeftOutError as error:
            shown.stop()
            told = "Nothing was loaded: --yes closes them, --keep-absent keeps them open."
            fail(f"{error} {told}", UNUSABLE)
        except FeedError as error:
            shown.stop()
            fail(str(error), UNUSABLE)
    _print_loaded(staged, committed, as_json=as_json)
    for day in committed.newer[:_MOST_LINES]:
        err.print(f"{day} stays as it is: a later feed is stored.", style="yellow")
    for day in committed.newer_in_part[:_MOST_LINES]:
        err.print(f"{day} stays in part as it is: later feeds speak of that.", style="yellow")
    if staged.fault_count or committed.newer or committed.newer_in_part:
        raise typer.Exit(REFUSED)


def show(
    merchant: Annotated[str, typer.Argument(help="One merchant.")] = "",
    day: Annotated[str, typer.Argument(help="One UTC day, like 2027-03-01.")] = "",
    as_json: options.AsRecords = False,
    zone: options.Zone = options.DEFAULT_ZONE,
) -> None:
    """Show who has an inventory, a merchant's days, or a day's slots and who is on them.

    Exit code 0: shown; 1: there is none; 3: no answer.
    """
    settings = load_settings()

    async def read(store: RedisInventory) -> Sheet:
        if not merchant:
            return await _merchants(store, zone)
        return await (_slots(store, merchant, day, zone) if day else _days(store, merchant, zone))

    sheet = _with_store(settings, read)
    if as_json:
        print_json(sheet.records())
    else:
        sheet.show()


def drop(
    merchants: Annotated[list[str] | None, typer.Argument(help="Merchants.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every merchant.")] = False,
    as_json: options.AsRecords = False,
) -> None:
    """Forget the inventory of merchants, slot by slot. Holds and bookings stand.

    Exit code 0: forgotten; 1: a merchant had none, or a feed was loaded for one meanwhile;
    2: no merchant is named; 3: no answer, and what is left is dropped by the next call.
    """
    if bool(merchants) == everybody:
        fail("Name merchants, or say --all.", UNUSABLE)

    dropped: list[dict[str, str | int]] = []

    def tell(name: str, removed: int) -> None:
        dropped.append({"merchant": name, "slots_dropped": removed})
        if not as_json:
            out.print(f"{name}: {removed} slots dropped")

    async def do(store: RedisInventory) -> int:
        names = [name async for name in store.merchants()] if everybody else merchants or ()
        unknown, interrupted = await drop_each(store, names, tell)
        if everybody and not interrupted:
            await store.forget_feed()
        return unknown + interrupted

    had_trouble = _with_store(load_settings(), do)
    if as_json:
        print_json(dropped)
    if had_trouble:
        raise typer.Exit(REFUSED)


async def drop_each(
    store: RedisInventory, names: Iterable[str], tell: Callable[[str, int], object]
) -> tuple[int, int]:
    """Drop one merchant after the other; return how many had nothing, and how many were loaded."""
    unknown = interrupted = 0
    for name in sorted(set(names)):
        try:
            removed = await store.drop(name)
        except FeedError as error:
            interrupted += 1
            err.print(str(error), style="yellow")
            continue
        if removed is None:
            unknown += 1
            err.print(f"{name} has no inventory.", style="yellow")
        else:
            tell(name, removed)
    return unknown, interrupted


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be loaded, and how."""

    files: list[Path]
    max_slot_s: float
    is_strict: bool
    most_share: float | None
    """Of the merchants, how many a complete feed may close; None for none at all."""


def _with_store(settings: Settings, do: Callable[[RedisInventory], Awaitable[Answer]]) -> Answer:
    return with_store(settings, bootstrap.open_inventory, do)


def _report_fault(fault: Fault) -> None:
    err.print(f"{fault.place} {fault.reason}", style="yellow")


def _report_rest(staged: Staged) -> None:
    for remark in staged.remarks:
        err.print(f"Warning: {remark.place} {remark.text}", style="yellow")
    for merchant in sorted(staged.only_lower):
        told = "something of it cannot be read, so none of its slots is removed, added or raised"
        err.print(f"{merchant}: {told}.", style="yellow")


async def _load(
    store: RedisInventory, wanted: _Wanted, shown: Progress
) -> tuple[Staged, Committed]:
    # To read the files may take minutes, and a store that is away is better known before.
    await store.reach()
    shown.add_task("reading", total=None)
    with spooled(wanted.files) as files:
        return await _load_feed(store, Feed(files, wanted.max_slot_s), wanted, shown)


async def _load_feed(
    store: RedisInventory, feed: Feed, wanted: _Wanted, shown: Progress
) -> tuple[Staged, Committed]:
    entries = shown.add_task("entries staged", total=feed.count)
    staged = await store.stage(
        feed.items(), lambda done: shown.update(entries, completed=done), _report_fault
    )
    _report_rest(staged)
    if staged.fault_count and not staged.scopes:
        raise FeedError("Nothing was loaded, because no entry can be taken.")
    if wanted.is_strict and staged.fault_count:
        raise FeedError("Nothing was loaded, because entries are at fault (--strict).")
    if feed.is_complete and wanted.most_share is not None:
        await _leave_out(store, staged, feed, wanted.most_share, shown)
    days = shown.add_task("days committed", total=None)
    committed = await store.commit(
        staged,
        feed.generated_at_ms,
        lambda done, of: shown.update(days, completed=done, total=of),
    )
    return staged, committed


async def _leave_out(
    store: RedisInventory, staged: Staged, feed: Feed, most_share: float, shown: Progress
) -> None:
    if staged.has_unreadable_merchant:
        told = "No merchant is closed that the feed does not list: one of an entry cannot be read."
        err.print(told, style="yellow")
    merchants = shown.add_task("merchants looked at", total=None)
    await store.leave_out(
        staged,
        feed.generated_at_ms,
        most_share,
        lambda done, of: shown.update(merchants, completed=done, total=of),
    )


def _print_loaded(staged: Staged, committed: Committed, *, as_json: bool) -> None:
    numbers = {
        "slots listed": staged.slots,
        "slots removed": committed.removed,
        "merchants": len(staged.scopes),
        "merchants' days": committed.days,
        "days that have passed": committed.over,
        "days known from a later feed": len(committed.newer),
        "entries at fault": staged.fault_count,
    }
    if as_json:
        names = (name.replace("'", "").replace(" ", "_") for name in numbers)
        shown = dict(zip(names, numbers.values(), strict=True))
        return print_json({**shown, "closed": sorted(committed.closed)})
    sheet = details("Loaded")
    for name, number in numbers.items():
        sheet.add_row(name, f"{number:,}")
    for merchant in sorted(committed.closed):
        sheet.add_row("closed, not listed", merchant)
    return sheet.show()


async def _merchants(store: RedisInventory, zone: tzinfo) -> Sheet:
    sheet = Sheet("merchant", "services", "days", "from", "to", "newest feed", zone=zone)
    for name in sorted({name async for name in store.merchants()}):
        try:
            found = await store.describe(name)
        except StoreUnavailableError as error:
            if error.trouble is not StoreTrouble.LAYOUT_UNKNOWN:
                raise
            err.print(f"{name} is left out: {error}", style="yellow")
            continue
        if found and found.generated_at_ms:
            days = sorted(found.generated_at_ms)
            newest = _time(max(found.generated_at_ms.values()))
            sheet.add_row(name, len(found.services), len(days), days[0], days[-1], newest)
    return sheet


async def _days(store: RedisInventory, merchant: str, zone: tzinfo) -> Sheet:
    found = await store.describe(merchant)
    if not found:
        fail(f"{merchant} has no inventory.", REFUSED)
    sheet = Sheet("day", "slots", "spots", "held", "booked", "feed", zone=zone)
    for day, generated_at_ms in sorted(found.generated_at_ms.items()):
        slots = await store.slots(merchant, day)
        numbers = (
            len(slots),
            sum(slot.spots for slot in slots),
            sum(slot.held for slot in slots),
            sum(slot.booked for slot in slots),
        )
        sheet.add_row(day, *numbers, _time(generated_at_ms))
    return sheet


async def _slots(store: RedisInventory, merchant: str, day: str, zone: tzinfo) -> Sheet:
    known = await store.describe(merchant)
    if not known or day not in known.generated_at_ms:
        fail(f"{merchant} has no inventory of {day}.", REFUSED)
    names = ("service", "start", "length", "staff", "room", "party", "spots", "held", "booked")
    sheet = Sheet(*names, zone=zone)
    for found in await store.slots(merchant, day):
        slot, numbers = found.slot, (found.spots, found.held, found.booked)
        when = _time(slot.start_s * 1000), timedelta(seconds=slot.duration_s)
        party_size = slot.party_size or ""
        sheet.add_row(slot.service_id, *when, slot.staff_id, slot.room_id, party_size, *numbers)
    return sheet


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
