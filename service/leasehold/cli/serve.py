"""``leasehold serve``."""

import asyncio
from contextlib import ExitStack
from typing import Annotated

import structlog
import typer

from leasehold import bootstrap
from leasehold.cli.console import UNUSABLE, fail, load_settings
from leasehold.cli.sheet import Sheet, details
from leasehold.doors import ListenError
from leasehold.model.store_url import hide_password
from leasehold.settings import Settings
from leasehold.store.embedded import EmbeddedStore, EmbeddedStoreError
from leasehold.telemetry import IGNORED_VARIABLES, log

_NO_STORE = (
    "There is no store to serve from. Set LEASEHOLD_REDIS_URL to that of your Redis or Valkey,"
    " or try it out with: leasehold serve --embedded"
)
_TWO_STORES = "LEASEHOLD_REDIS_URL is set, so --embedded would serve from another store. Use one."


def serve(
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a Valkey of its own, on loopback.")
    ] = False,
) -> None:
    """Serve the partner API until SIGTERM, then drain. Settings are LEASEHOLD_... variables."""
    settings = load_settings()
    log.configure(settings.log_format, settings.log_level)
    for name in IGNORED_VARIABLES:
        structlog.get_logger().warning("variable_ignored", variable=name)
    if embedded and settings.redis_url:
        fail(_TWO_STORES, UNUSABLE)
    if not embedded and not settings.redis_url:
        fail(_NO_STORE, UNUSABLE)
    with ExitStack() as stack:
        try:
            # Before any gRPC object exists: a process must not fork after gRPC has started.
            store = _start_embedded(settings, stack) if embedded else None
            url = store.url if store else str(settings.redis_url)
            with asyncio.Runner(loop_factory=_new_event_loop) as runner:
                runner.run(
                    bootstrap.serve(settings, url, lambda at: _announce(settings, at, url, store))
                )
        except (EmbeddedStoreError, ListenError, bootstrap.UserKeyError) as error:
            fail(str(error), UNUSABLE)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of uvloop, or asyncio's own where there is no uvloop for this Python."""
    try:
        import uvloop  # noqa: PLC0415 - not a dependency everywhere
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.set_exception_handler(log.note_loop_error)
    return loop


def _start_embedded(settings: Settings, stack: ExitStack) -> EmbeddedStore:
    return stack.enter_context(EmbeddedStore(settings.embedded_dir, settings.embedded_port))


def _announce(
    settings: Settings, at: bootstrap.Serving, url: str, store: EmbeddedStore | None
) -> None:
    structlog.get_logger().info(
        "serving",
        listen=str(at.partners),
        operator_listen=str(at.operators),
        ops_listen=str(at.ops),
        redis_url=hide_password(url),
        embedded_pid=store.pid if store else None,
    )
    if settings.log_format == "console":
        _addresses(settings, at, url, store).show()


def _addresses(
    settings: Settings, at: bootstrap.Serving, url: str, store: EmbeddedStore | None
) -> Sheet:
    sheet = details("Leasehold is serving")
    sheet.add_row("gRPC, partners", str(at.partners))
    sheet.add_row("gRPC, operators", str(at.operators))
    scheme = "https" if settings.door("ops_listen").has_tls else "http"
    sheet.add_row("metrics", f"{scheme}://{at.ops}/metrics")
    sheet.add_row("readiness", f"{scheme}://{at.ops}/readyz?verbose")
    if store:
        sheet.add_row("store", f"redis-cli -p {store.port}")
        sheet.add_row("data", str(store.directory))
    else:
        sheet.add_row("store", hide_password(url))
    return sheet
