"""A service of its own for each file of these tests, and clients of it."""

from collections.abc import Iterator

import pytest
from tests.service import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all the tests of a file."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path_factory.mktemp("store"))) as service:
        yield service
