"""What has been found out about a process and its store: in log, metric and readiness."""

import logging
from collections.abc import Iterable, Iterator

import structlog

from leasehold.model.finding import STATES, Finding
from leasehold.telemetry import metrics

_LEVELS = {"ok": logging.INFO, "warning": logging.WARNING, "failed": logging.ERROR}

_log = structlog.get_logger()


class Findings:
    """The latest finding of every name.

    ``required`` names those that must be ok before this process may want calls.
    """

    def __init__(self, required: Iterable[str] = ()) -> None:
        self._required = frozenset(required)
        self._by_name: dict[str, Finding] = {}

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._by_name.values())

    def note(self, finding: Finding) -> None:
        """Take over what has been found out; it is logged when it differs from what was known."""
        before = self._by_name.get(finding.name)
        if finding == before:
            return
        self._by_name[finding.name] = finding
        for state in STATES:
            metrics.finding.labels(finding.name, state).set(state == finding.state)
        # That all is well from the start is no news.
        is_news = before is not None or finding.state != "ok"
        level = _LEVELS[finding.state] if is_news else logging.DEBUG
        _log.log(level, "finding", name=finding.name, state=finding.state, detail=finding.detail)

    @property
    def allow_calls(self) -> bool:
        """Tell whether nothing has failed, and everything required is known to be ok."""
        ok = {finding.name for finding in self if finding.state == "ok"}
        return self._required <= ok and all(finding.state != "failed" for finding in self)
