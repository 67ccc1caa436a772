"""A feed on standard input: kept on disk while it is read, because a feed is read twice."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from leasehold.feed.files import Source
from leasehold.model.inventory import FeedError

_STANDARD_INPUT = Path("-")


@contextmanager
def spooled(paths: Sequence[Path]) -> Iterator[list[Source]]:
    """Yield the files of a feed, with the copy of standard input in the place of ``-``.

    The copy lies in the folder of temporary files (``TMPDIR``), readable by this user only, and is
    removed at the end. Raises FeedError when it cannot be made, or ``-`` is named twice.
    """
    if paths.count(_STANDARD_INPUT) > 1:
        raise FeedError("Standard input (-) is one file, and is named twice.")
    with ExitStack() as stack:
        try:
            files = [
                stack.enter_context(_copied())
                if path == _STANDARD_INPUT
                else Source(path, str(path))
                for path in paths
            ]
        except OSError as error:
            told = error.strerror or error
            raise FeedError(f"Standard input cannot be kept on disk: {told}") from None
        yield files


@contextmanager
def _copied() -> Iterator[Source]:
    with NamedTemporaryFile(prefix="leasehold-feed-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.flush()
        yield Source(Path(spool.name), "standard input")
