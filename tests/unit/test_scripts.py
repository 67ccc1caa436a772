from collections.abc import Callable

import pytest

from leasehold.store.scripts import Right, ScriptError, expand, load, parse_header

HEADER = """\
-- give: something is given.
-- KEYS[1]  place_key  string  where
-- ARGV[1]  what       string  what is given
-- ARGV[2]  until_ms   integer until when, epoch ms
-- Returns {status, ...} in order of precedence:
--   refused              it is not to be had
--   given   at_ms to_ms  it is given
-- Keeps: what is given is given once.
-- Cost: constant.
-- Rights: TIME; GET SET place;
--   EXISTS other-place.
-- Promises: given.
-- Repeatable: no, because it is only an example.
"""


def files(**texts: str) -> Callable[[str], str]:
    """Return a reader of files that exist only here; a double underscore is a slash."""
    by_path = {name.replace("__", "/") + ".lua": text for name, text in texts.items()}

    def read(path: str) -> str:
        if path not in by_path:
            raise ScriptError(f"lua/{path} does not exist")
        return by_path[path]

    return read


def test_expand_puts_an_include_in_place() -> None:
    """The include stands where it is asked for, and nothing else changes."""
    read = files(give="local a\n--@include one\nreturn a\n", include__one="local one\n")

    assert expand("give", read) == "local a\nlocal one\nreturn a\n"


def test_expand_puts_a_shared_include_in_once() -> None:
    """A helper that two others need stands once, before both."""
    read = files(
        give="--@include left\n--@include right\n",
        include__left="--@include base\nlocal left\n",
        include__right="--@include base\nlocal right\n",
        include__base="local base\n",
    )

    assert expand("give", read) == "local base\nlocal left\nlocal right\n"


def test_expand_refuses_a_circle() -> None:
    """Helpers that include each other are named in the error."""
    read = files(
        give="--@include left\n",
        include__left="--@include right\n",
        include__right="--@include left\n",
    )

    with pytest.raises(ScriptError, match=r"left\.lua -> include/right\.lua -> include/left\.lua"):
        expand("give", read)


def test_expand_refuses_a_missing_include() -> None:
    """An include that does not exist is named."""
    with pytest.raises(ScriptError, match=r"lua/include/one\.lua does not exist"):
        expand("give", files(give="--@include one\n"))


@pytest.mark.parametrize("line", ["--@include", "--@inculde one", "--@include ../one"])
def test_expand_refuses_what_only_looks_like_an_include(line: str) -> None:
    """A misspelt include is an error, not a comment."""
    with pytest.raises(ScriptError, match="not an include"):
        expand("give", files(give=f"{line}\n"))


def test_parse_header_reads_the_contract() -> None:
    """Keys, arguments, statuses with their fields, and whether to send again, all in order."""
    header = parse_header("give", HEADER)

    assert header.keys == ("place_key",)
    assert header.arguments == ("what", "until_ms")
    assert list(header.statuses.items()) == [("refused", ()), ("given", ("at_ms", "to_ms"))]
    assert not header.repeatable
    assert header.promises == {"given"}
    assert header.rights == {
        Right("TIME", ""),
        Right("GET", "place"),
        Right("SET", "place"),
        Right("EXISTS", "other-place"),
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-- give:", "-- take:", "name of the script"),
        ("ARGV[2]", "ARGV[3]", "numbered"),
        ("Repeatable: no", "Repeatable: perhaps", "repeatable"),
        ("-- Promises:", "-- Vows:", "promises"),
        ("Promises: given", "Promises: taken", "not among its statuses"),
        ("-- Keeps:", "-- Guards:", "Keeps:"),
        ("-- Cost:", "-- Price:", "Cost:"),
        ("-- Rights:", "-- Wants:", "rights"),
        ("GET SET place;", "GET set Place;", "not commands with a family"),
        ("--   refused ", "--   given ", "named twice"),
    ],
)
def test_parse_header_refuses_a_contract_with_a_gap(old: str, new: str, fault: str) -> None:
    """A header that leaves something out does not load."""
    with pytest.raises(ScriptError, match=fault):
        parse_header("give", HEADER.replace(old, new))


def test_load_of_an_unknown_script_names_the_file() -> None:
    """A script that does not exist is an error with its path."""
    with pytest.raises(ScriptError, match=r"lua/no_such\.lua does not exist"):
        load("no_such")
