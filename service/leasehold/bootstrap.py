"""The composition root: the only place that sees both the front end and the store."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import grpc
import structlog

import leasehold
from leasehold import settings as settings_module
from leasehold.doors import Doors
from leasehold.model.address import Address
from leasehold.model.booking import MOST_LISTED
from leasehold.model.deadline import Deadline
from leasehold.model.errors import (
    DeadlinePassedError,
    OverloadedError,
    StoreTrouble,
    StoreUnavailableError,
)
from leasehold.model.finding import Finding
from leasehold.rpc import server
from leasehold.rpc.calls import CallInterceptor
from leasehold.rpc.health import Health
from leasehold.rpc.stored import user_of, without_person
from leasehold.rpc.v0 import servicer as v0_servicer
from leasehold.rpc.v1.feed import FeedServicer
from leasehold.rpc.v1.inventory import InventoryServicer
from leasehold.rpc.v1.leases import LeaseServicer
from leasehold.rpc.v2 import servicer as v2_servicer
from leasehold.settings import Settings
from leasehold.store.doctor import Doctor
from leasehold.store.eraser import Eraser
from leasehold.store.hooks import Hooks, tell_nobody
from leasehold.store.link import Link
from leasehold.store.node import Limits
from leasehold.store.redis_events import RedisEvents
from leasehold.store.redis_inventory import RedisInventory
from leasehold.store.redis_leases import RedisLeases
from leasehold.store.redis_store import RedisStore
from leasehold.store.topology import Access, open_link
from leasehold.store.user_key_mark import UserKeyMark
from leasehold.telemetry import metrics, ops_http
from leasehold.telemetry.findings import Findings
from leasehold.telemetry.readiness import Readiness
from leasehold.watch import Watch

_log = structlog.get_logger()

_EVERY_SLOT_EXISTS = Finding(
    "inventory", "warning", "open: every well-formed future slot counts as one that exists"
)
# What is left to do once every running call has its answer: to send it.
_LAST_WORDS_S = 1


class UserKeyError(Exception):
    """This process does not hold the key that the store's users are digested with."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Where a started service can be reached."""

    partners: Address
    operators: Address
    ops: Address


async def serve(settings: Settings, redis_url: str, announce: Callable[[Serving], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises ListenError if an address is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        watch: Watch  # It is made from the link, and told by it.
        link = _open_link(settings, redis_url, stack, lambda: watch.connected())  # noqa: PLW0108
        terms, is_strict = settings.lease_terms(), settings.inventory == "strict"
        known = Findings(filter(None, settings.ready_requires.split(",")))
        watch = Watch(settings, link, known)
        store = RedisStore(
            link,
            terms,
            is_strict=is_strict,
            taking=watch.taking(),
            on_grant=metrics.lease_seconds.observe,
            on_cut=_note_cut,
            user_keys=settings.user_keys(),
            admit_users=watch.user_key_mark.admit,
            user_of=user_of,
            on_left_out=_note_left_out,
        )
        readiness = _readiness(settings, store, known)
        doors = Doors(settings)
        partner_calls, operator_calls = doors.calls("listen"), doors.calls("operator_listen")
        limits = {"max_slot_s": settings.max_slot_s, "call_timeout_s": settings.call_timeout_s}
        v2 = v2_servicer.BookingServicer(store, **limits)
        v0 = v0_servicer.BookingServicer(store, **limits)
        health, operator_health = Health(server.PARTNER_SERVICES), Health(server.OPERATOR_SERVICES)
        for follower in (health, operator_health):
            await readiness.tell(follower.follow)
        partners = server.partner_listener(
            v2,
            v0,
            health,
            partner_calls,
            doors.connections(),
            reflects=settings.reflects("listen"),
        )
        inventory = InventoryServicer(
            RedisInventory(link, terms.retention_ms),
            max_slot_s=settings.max_slot_s,
            max_closed_share=settings.max_closed_share,
        )
        operated = RedisLeases(
            link,
            terms,
            is_strict=is_strict,
            promising=watch.promising(),
            on_left_out=_note_left_out,
        )
        leases = LeaseServicer(operated, call_timeout_s=settings.call_timeout_s)
        events = RedisEvents(link, terms) if terms.max_events else None
        feed = FeedServicer(events, call_timeout_s=settings.call_timeout_s)
        operators = server.operator_listener(
            inventory,
            leases,
            feed,
            operator_health,
            operator_calls,
            doors.connections(),
            reflects=settings.reflects("operator_listen"),
        )
        for listener in (partners, operators):
            stack.push_async_callback(listener.stop, None)
        await _refuse_other_user_key(watch.user_key_mark)
        serving = Serving(
            partners=await doors.open(partners, "listen"),
            operators=await doors.open(operators, "operator_listen"),
            ops=await _open_ops(doors, settings, readiness, stack),
        )
        following = {
            asyncio.create_task(readiness.follow_store()),
            *watch.start(),
            *doors.start(),
        }
        announce(serving)
        if not is_strict:
            known.note(_EVERY_SLOT_EXISTS)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, *following}, return_when=asyncio.FIRST_COMPLETED)
        for each in following:
            if each.done():
                # Readiness that nobody updates would be a lie, so the process ends with it.
                each.result()
        await _turn_away(readiness, settings.drain_delay_s)
        give_up_at_s = time.monotonic() + settings.drain_grace_s
        await doors.let_leave(settings.drain_grace_s)
        left_s = max(give_up_at_s - time.monotonic(), 0)
        await _drain([partner_calls, operator_calls], [partners, operators], left_s)
        watch.stop()
        doors.stop()
        # The store is closed next, and had better not be asked any more by then.
        await asyncio.wait(following, timeout=_LAST_WORDS_S)
        _log.info("stopped")


@asynccontextmanager
async def open_inventory(settings: Settings) -> AsyncIterator[RedisInventory]:
    """Open the inventory of the configured store, or else of this machine's embedded one."""
    async with AsyncExitStack() as stack:
        link = _open_link(settings, _store_url(settings), stack)
        yield RedisInventory(link, settings.lease_terms().retention_ms)


@asynccontextmanager
async def open_doctor(settings: Settings) -> AsyncIterator[Doctor]:
    """Open the configured store, or else this machine's embedded one, to be examined."""
    async with AsyncExitStack() as stack:
        link, terms = _open_link(settings, _store_url(settings), stack), settings.lease_terms()
        is_strict = settings.inventory == "strict"
        numbers = (settings.replica_acks, settings.max_slot_s, terms.max_lease_ms)
        yield Doctor(link, *numbers, is_strict=is_strict, user_keys=settings.user_keys())


@asynccontextmanager
async def open_eraser(settings: Settings) -> AsyncIterator[Eraser]:
    """Open the configured store, or else this machine's embedded one, to forget people."""
    async with AsyncExitStack() as stack:
        link = _open_link(settings, _store_url(settings), stack)
        yield Eraser(link, without_person, settings.user_keys())


async def _refuse_other_user_key(mark: UserKeyMark) -> None:
    """Raise UserKeyError if the store answers, and its users have a key that is not held.

    Before the first beat: a store that nobody has served from yet has no marker.
    """
    with suppress(StoreUnavailableError, DeadlinePassedError, OverloadedError):
        finding = await mark.look(Deadline.within(_LAST_WORDS_S, None))
        if finding.state == "failed":
            raise UserKeyError(finding.detail)


def _note_cut() -> None:
    """Say that a user has more bookings than are listed, and not which one."""
    metrics.lists_cut.inc()
    _log.warning("booking_list_cut", listed=MOST_LISTED)


def _note_left_out(count: int) -> None:
    """Say that a list lacks what only a later release can read."""
    metrics.records_left_out.inc(count)
    _log.warning("records_left_out", count=count, reason=StoreTrouble.LAYOUT_UNKNOWN.value)


def _store_url(settings: Settings) -> str:
    return settings.redis_url or f"redis://127.0.0.1:{settings.embedded_port}"


def _open_link(
    settings: Settings,
    url: str,
    stack: AsyncExitStack,
    on_connect: Callable[[], object] = tell_nobody,
) -> Link:
    limits = Limits(
        connections=settings.redis_connections,
        max_in_flight=settings.redis_max_in_flight,
        timeout_s=settings.redis_timeout_s,
        connect_timeout_s=settings.redis_connect_timeout_s,
        retries=settings.redis_retries,
        replica_acks=settings.replica_acks,
        replica_ack_timeout_s=settings.replica_ack_timeout_s,
    )
    sentinel_password = settings.redis_sentinel_password
    access = Access(
        password_file=settings.redis_password_file,
        sentinel_username=settings.redis_sentinel_username,
        sentinel_password=sentinel_password.get_secret_value() if sentinel_password else None,
        sentinel_password_file=settings.redis_sentinel_password_file,
        ca_file=settings.redis_ca_file,
        cert_file=settings.redis_cert_file,
        key_file=settings.redis_key_file,
    )
    hooks = Hooks(
        on_connect=on_connect,
        on_reconnect=metrics.link_reconnects.inc,
        on_resend=metrics.link_resent.inc,
        on_answer=metrics.script_seconds.observe,
        on_shortfall=metrics.replica_shortfalls.inc,
        on_replica_wait=metrics.replica_wait_seconds.observe,
    )
    link = open_link(url, limits, access, hooks)
    metrics.link_limit.set(settings.redis_max_in_flight)
    metrics.link_in_flight.set_function(lambda: link.in_flight)
    stack.push_async_callback(link.close)
    return link


def _readiness(settings: Settings, store: RedisStore, known: Findings) -> Readiness:
    metrics.build_info.labels(leasehold.__version__).set(1)

    async def ping() -> None:
        await store.ping(Deadline.within(settings.call_timeout_s, None))

    return Readiness(ping, settings.unready_after_s, known)


async def _open_ops(
    doors: Doors, settings: Settings, readiness: Readiness, stack: AsyncExitStack
) -> Address:
    application = ops_http.build(readiness, settings_module.shown(settings))
    serving, address = await doors.open_ops(application)
    stack.push_async_callback(serving.aclose)
    return address


async def _turn_away(readiness: Readiness, delay_s: float) -> None:
    """Want no more calls, and serve those that come until whoever sends them has noticed."""
    _log.info("draining", delay_s=delay_s)
    await readiness.drain()
    await asyncio.sleep(delay_s)


async def _drain(
    calls: list[CallInterceptor], listeners: list[grpc.aio.Server], grace_s: float
) -> None:
    """Take no new calls; those that run may finish within the grace."""
    stopping = [asyncio.create_task(listener.stop(grace_s)) for listener in listeners]
    try:
        await asyncio.wait_for(asyncio.gather(*(each.idle() for each in calls)), grace_s)
    except TimeoutError:
        _log.warning("calls_cut_off")
    # Watchers of health never finish by themselves, so they do not get the whole grace.
    await asyncio.gather(*stopping, *(listener.stop(_LAST_WORDS_S) for listener in listeners))
