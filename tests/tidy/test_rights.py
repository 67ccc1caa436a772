"""What a script may not find forbidden half-way: rights are asked for before the first write."""

import re
from dataclasses import dataclass, field

import pytest
from tests.make_acl import DEPLOYMENT, made, tabled
from tests.servers import ACCESS_LIST

from leasehold.store import scripts

READS = {"TIME", "GET", "MGET", "EXISTS", "PTTL", "HGET", "HMGET", "HGETALL", "HKEYS", "HLEN"}
READS |= {"HEXISTS", "ZSCORE", "ZRANGE", "ZCARD", "XLEN", "XRANGE"}
"""The commands of the scripts that write nothing; any other counts as a write."""
WRITING = [
    script
    for script in map(scripts.load, scripts.names())
    if {right.command for right in script.header.rights} - READS
]
FUNCTION = re.compile(r"^local function (\w+)\(([^)]*)\)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
TOKEN = re.compile(
    r"redis\.call\('(?P<command>[A-Z]+)'(?:, (?P<key>[^,()]+(?:\([^()]*\))?))?"
    r"|\b(?P<word>then|do|elseif|else|end|return|function)\b"
    r"|require_rights\((?P<asked_key>[^,()]+), (?P<asked>(?:'[A-Z]+'(?:, )?)+)\)"
    r"|\b(?P<called>\w+)\((?P<first>[^,()']*)"
    r"|'[^']*'"
)


def code(script: scripts.Script) -> str:
    """Return a script without its comments."""
    return re.sub(r"--[^\n]*", "", script.source)


@dataclass
class Reading:
    """One script, read from top to bottom; a branch that returns does not lead to what follows."""

    functions: dict[str, tuple[str, str]]
    """Parameters and body of each."""
    has_written: bool = False
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Commands and keys that rights have been asked for."""
    faults: list[str] = field(default_factory=list)
    blocks: list[tuple[bool, bool]] = field(default_factory=list)
    """Of each open block: whether anything is written before it, and in a branch that has ended."""
    is_elseif: bool = False
    """Whether the next ``then`` belongs to a block that is open already."""

    def read(self, text: str, names: dict[str, str], *, is_helper: bool = False) -> None:
        """Follow a piece of code whose parameters have other ``names`` outside."""
        for token in TOKEN.finditer(text):
            if token["command"]:
                self._command(token["command"], renamed(token["key"] or "", names))
            elif token["asked"]:
                key = renamed(token["asked_key"], names)
                self.asked |= {(it, key) for it in re.findall(r"[A-Z]+", token["asked"])}
            elif token["word"] == "return":
                if self.blocks and not is_helper:
                    self.has_written = self.blocks[-1][0]
            elif token["word"]:
                self._word(token["word"])
            elif token["called"] in self.functions:
                parameters, body = self.functions[token["called"]]
                first = parameters.split(",")[0]
                self.read(body, {first: renamed(token["first"], names)}, is_helper=True)

    def _command(self, command: str, key: str) -> None:
        if self.has_written and (command, key) not in self.asked:
            self.faults.append(f"require_rights({key}, '{command}')")
        self.has_written |= command not in READS
        # What was allowed once is allowed a second time.
        self.asked.add((command, key))

    def _word(self, word: str) -> None:
        if word == "then" and self.is_elseif:
            self.is_elseif = False
        elif word in {"then", "do", "function"}:
            self.blocks.append((self.has_written, False))
        else:
            before, by_branch = self.blocks.pop()
            by_branch |= self.has_written
            if word == "end":
                self.has_written = by_branch
            else:
                self.has_written = before
                self.blocks.append((before, by_branch))
                self.is_elseif = word == "elseif"


def renamed(key: str, names: dict[str, str]) -> str:
    """Return a key as it is called outside of a function."""
    return names.get(key.strip(), key.strip())


def unasked(source: str) -> list[str]:
    """Return what a script runs after its first write without having asked for it."""
    functions = {name: (parameters, body) for name, parameters, body in FUNCTION.findall(source)}
    reading = Reading(functions)
    reading.read(FUNCTION.sub("", source), {})
    return sorted(set(reading.faults))


@pytest.mark.parametrize("script", WRITING, ids=lambda it: it.name)
def test_what_follows_the_first_write_is_asked_for_before_it(script: scripts.Script) -> None:
    """A command, or a key, that the store forbids is found out before anything is written."""
    missing = unasked(code(script))

    assert not missing, f"lua/{script.name}.lua needs before its first write: {'; '.join(missing)}"


@pytest.mark.parametrize(
    "script", [scripts.load(name) for name in scripts.names()], ids=lambda it: it.name
)
def test_header_names_every_command_of_the_script(script: scripts.Script) -> None:
    """The line Rights: has each command of the code, and no other."""
    if script.name == "check_permissions":
        return  # It tries every command on a key of its own.
    found = set(re.findall(r"redis\.p?call\('([A-Z]+)'", code(script)))

    named = {right.command for right in script.header.rights}
    assert named == found, f"the header of lua/{script.name}.lua and its code differ"


PIECES = [
    ("redis.call('SET', a)\nredis.call('GET', b)", ["require_rights(b, 'GET')"]),
    ("require_rights(b, 'GET', 'SET')\nredis.call('SET', a)\nredis.call('GET', b)", []),
    (
        "require_rights(a, 'GET')\nredis.call('SET', a)\nredis.call('GET', b)",
        ["require_rights(b, 'GET')"],
    ),
    ("redis.call('GET', a)\nredis.call('SET', a)\nredis.call('SET', a)", []),
    ("if x then redis.call('SET', a) return {1} end\nredis.call('DEL', b)", []),
    ("if x then redis.call('SET', a) end\nredis.call('DEL', b)", ["require_rights(b, 'DEL')"]),
    ("if x then redis.call('SET', a) elseif y then redis.call('DEL', b) end", []),
    (
        "local function f(k)\n  redis.call('HDEL', k)\n  redis.call('HSET', k)\nend\nf(a)",
        ["require_rights(a, 'HSET')"],
    ),
]
"""Small scripts, each with what it does not ask for."""


@pytest.mark.parametrize(("source", "missing"), PIECES)
def test_the_reading_of_scripts_finds_what_is_not_asked_for(
    source: str, missing: list[str]
) -> None:
    """The check follows branches, returns and helpers."""
    assert unasked(source) == missing


def test_access_list_is_made_from_the_scripts() -> None:
    """The rules of the service are those that the headers ask for: no more, no less."""
    text = ACCESS_LIST.read_text()

    assert made(text) == text, "run `make acl`"
    assert tabled(DEPLOYMENT.read_text()) == DEPLOYMENT.read_text(), "run `make acl`"
