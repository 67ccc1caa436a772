"""The file of keys that user ids are digested with."""

from pathlib import Path

import pytest

from leasehold.model import ids
from leasehold.model.user_keys import UserKeysError, parse_user_keys
from leasehold.settings import SettingsError, load, shown

A, B = "A" * 44, "B" * 44


def test_user_keys_of_a_file_are_taken_in_order() -> None:
    """The first line writes; a byte order mark, blank lines and Windows' ends are no keys (85)."""
    found = parse_user_keys(f"\ufeff{A}\r\n\r\n{B}\r\nnone\r\n".encode())
    expected = (ids.user_digest("ada", key) for key in (A.encode(), B.encode(), None))
    assert found.digests("ada") == tuple(expected)
    assert found.has_key
    assert not parse_user_keys(b"none\n").has_key


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        ("\n", ["there is no key in it"]),
        (f"{A}\n{A}\nshort", ["line 2 is the same", "line 3 has 5 characters"]),
        (f"{A[:40]} {A}", ["line 1 is not of visible ASCII"]),
        ("\n".join(letter * 32 for letter in "ABCDE"), ["there are 5 keys in it; at most 4"]),
    ],
)
def test_user_keys_of_a_bad_file_are_refused_with_every_fault(
    content: str, faults: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every fault is named by its line, at the start of every command; no key is shown (85)."""
    with pytest.raises(UserKeysError) as caught:
        parse_user_keys(content.encode())
    assert len(caught.value.faults) == len(faults)
    assert all(
        fault.startswith(begin) for fault, begin in zip(caught.value.faults, faults, strict=True)
    )
    path = tmp_path / "keys"
    path.write_text(content)
    monkeypatch.setenv("LEASEHOLD_USER_KEY_FILE", str(path))
    with pytest.raises(SettingsError) as refused:
        load()
    assert len(refused.value.faults) == len(faults)
    assert all(f"LEASEHOLD_USER_KEY_FILE ({path}): " in it for it in refused.value.faults)
    assert not any(line and line in str(refused.value) for line in content.split())


def test_user_keys_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What shows settings shows the file's name (85)."""
    path = tmp_path / "keys"
    path.write_text(A)
    monkeypatch.setenv("LEASEHOLD_USER_KEY_FILE", str(path))
    assert shown(load())["LEASEHOLD_USER_KEY_FILE"] == str(path)
    assert A not in str(load()) + str(shown(load())) + repr(load().user_keys())
