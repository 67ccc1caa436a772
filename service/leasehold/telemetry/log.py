"""Logging: one line an event, for people or as JSON, on standard error."""

import asyncio
import atexit
import contextlib
import io
import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, cast

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_MOMENT_S = 0.01
_MOST_LINES = 1000

# The local variables of a frame may hold personal data.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class _Forgiving(io.TextIOBase):
    """A stream whose loss is borne: no call fails because nobody reads the log."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _Gathering(io.RawIOBase):
    """Gathers what one moment of a running loop logs, and writes it in one go.

    A process that is killed loses at most that moment.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        atexit.register(self.spill)

    def write(self, data: Any, /) -> int:
        self._lines.append(data)
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_later(_MOMENT_S, self.spill)
            except RuntimeError:
                self.spill()
        elif len(self._lines) >= _MOST_LINES:
            self.spill()
        return len(data)

    def spill(self) -> None:
        """Write what has been gathered; a log that nobody reads is no reason to fail."""
        data = memoryview(b"".join(self._lines))
        self._lines.clear()
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


def configure(log_format: Literal["console", "json"], level: str) -> None:
    """Send our own events and those of the libraries through the same renderer."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor]
    logger_factory: Any
    if log_format == "json":
        processors = [_TRACEBACKS, _as_line]
        logger_factory = structlog.BytesLoggerFactory(
            file=cast("BinaryIO", _Gathering(sys.stderr.fileno()))
        )
        foreign: list[Processor] = [structlog.processors.JSONRenderer(_as_json)]
    else:
        foreign = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        processors = [*shared, *foreign]
        logger_factory = structlog.WriteLoggerFactory(file=cast("TextIO", _Forgiving(sys.stderr)))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=logger_factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Forgiving(sys.stderr))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_words,
                *foreign,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
    sys.unraisablehook = _note_unraisable


def note_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that no task awaits; to be set as the exception handler of an event loop."""
    _note("loop_error", context.get("exception"))


def _note_unraisable(unraisable: Any) -> None:
    _note("unraisable_error", unraisable.exc_value)


def _note(event: str, error: BaseException | None) -> None:
    structlog.get_logger().error(event, **facts(error))


def _without_words(_logger: object, _level: str, event: "EventDict") -> "EventDict":
    """Take out of a library's event the text of its error, which may quote a stranger."""
    found = event.pop("exc_info", None)
    return {**event, **facts(found[1] if isinstance(found, tuple) else None)}


def facts(error: BaseException | None) -> dict[str, str]:
    """Return which error it is and where it came from, for an event; nothing of its text."""
    if error is None:
        return {}
    trace = "".join(traceback.format_tb(error.__traceback__))
    return {"error": type(error).__name__, "traceback": trace}


def _as_line(_logger: object, level: str, event: "EventDict") -> bytes:
    """Do in one step, for every call, what `shared` and a JSONRenderer do."""
    event["level"] = level
    event["timestamp"] = datetime.now(UTC)
    try:
        return orjson.dumps(event, _as_text, orjson.OPT_UTC_Z)
    except TypeError:
        # Text that is no Unicode, of a library's perhaps: better escaped than lost.
        return json.dumps(event, default=_as_text).encode()


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _as_json(event: Any, **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        return json.dumps(event, default=str)
