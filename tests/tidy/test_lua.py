import re
from importlib.resources import files

import pytest

from leasehold.model.booking import CreateBookingStatus, UpdateBookingStatus
from leasehold.model.events import ListEventsStatus
from leasehold.model.forgetting import ForgetUserStatus
from leasehold.model.inventory import CheckAvailabilityStatus, CommitStatus
from leasehold.model.lease import CreateLeaseStatus
from leasehold.model.operators import ExtendLeaseStatus, InspectSlotStatus, ReleaseLeaseStatus
from leasehold.store import layout, rights, scripts
from leasehold.store.marker import BeatStatus
from leasehold.store.user_key_mark import MarkUserKeyStatus

OUTCOMES = {
    "create_lease": list(CreateLeaseStatus),
    "create_booking": list(CreateBookingStatus),
    "update_booking": list(UpdateBookingStatus),
    "get_lease": ["lease_unknown", "found"],
    "release_lease": list(ReleaseLeaseStatus),
    "extend_lease": list(ExtendLeaseStatus),
    "inspect_slot": list(InspectSlotStatus),
    "list_events": list(ListEventsStatus),
    "intend_booking": ["intended"],
    "index_booking": ["not_needed", "overtaken", "indexed"],
    "forget_booking": ["kept", "forgotten"],
    "forget_user": list(ForgetUserStatus),
    "check_availability": list(CheckAvailabilityStatus),
    "stage_spots": ["staged"],
    "begin_commit": ["day_over", "older_feed", "stage_incomplete", "begun"],
    "commit_spots": list(CommitStatus),
    "leave_out": ["over", "left_out"],
    "note_complete": ["over", "noted"],
    "begin_drop": ["merchant_unknown", "begun"],
    "drop_spots": ["loaded_meanwhile", "emptied"],
    "drop_inventory": ["loaded_meanwhile", "dropped"],
    "note_feed": ["over", "noted"],
    "note_order": ["merchant_unknown", "older_feed", "noted"],
    "note_shard": ["lost", "noted"],
    "forget_feed": ["forgotten"],
    "beat": list(BeatStatus),
    "mark_user_key": list(MarkUserKeyStatus),
    "check_permissions": ["checked"],
}
"""The set of outcomes that Python knows of each script."""

every_script = pytest.mark.parametrize("script", [scripts.load(name) for name in scripts.names()])


def code(script: scripts.Script) -> str:
    """Return a script without its comments."""
    return re.sub(r"--[^\n]*", "", script.source)


def test_there_are_scripts_and_each_has_its_outcomes() -> None:
    """No script is left out of these checks."""
    assert set(scripts.names()) == set(OUTCOMES)


@every_script
def test_header_and_outcomes_agree(script: scripts.Script) -> None:
    """The header lists exactly Python's outcomes, in the same order of precedence."""
    assert list(script.header.statuses) == OUTCOMES[script.name]


@every_script
def test_header_and_returns_agree(script: scripts.Script) -> None:
    """Every status of the header is returned somewhere with that many fields, and no other is."""
    returns = re.findall(r"return \{'(\w+)'((?:, [^{}]+)?)\}", code(script))
    returned = {(status, fields.count(", ")) for status, fields in returns}

    assert returned == {(name, len(fields)) for name, fields in script.header.statuses.items()}
    assert len(re.findall(r"^\s*return \{", code(script), re.MULTILINE)) == len(returns)


@every_script
def test_every_key_and_argument_is_bound_once_under_its_name(script: scripts.Script) -> None:
    """The names of the header are the locals of the code; the indexes stand nowhere else."""
    pattern = r"^local (\w+) = (?:tonumber\()?(KEYS|ARGV)\[(\d+)\]\)?$"
    bound = re.findall(pattern, code(script), re.MULTILINE)

    declared = [(name, "KEYS", str(i)) for i, name in enumerate(script.header.keys, 1)]
    declared += [(name, "ARGV", str(i)) for i, name in enumerate(script.header.arguments, 1)]
    assert bound == declared
    assert len(re.findall(r"\b(?:KEYS|ARGV)\b", code(script))) == len(declared)


@every_script
def test_every_local_is_used(script: scripts.Script) -> None:
    """A local that nothing uses is left over."""
    names = re.findall(r"\blocal (?:function )?(\w+)", code(script))

    unused = [name for name in names if len(re.findall(rf"\b{name}\b", code(script))) < 2]
    assert unused == []


@every_script
def test_no_globals_no_scans_and_only_what_redis_6_2_offers(script: scripts.Script) -> None:
    """Scripts set no globals, look for no patterns, and run on the oldest server."""
    assert re.findall(r"^(?!local )\w+\s*=[^=]", code(script), re.MULTILINE) == []
    forbidden = r"'(?:KEYS|SCAN|PEXPIRETIME|EXPIRETIME|HPEXPIRE|HEXPIRE|FCALL)'|'(?:GT|LT)'"
    assert re.findall(forbidden, code(script)) == []


@every_script
def test_time_is_read_once(script: scripts.Script) -> None:
    """One reading of the clock decides everything in a script."""
    assert len(re.findall(r"now_ms\(\)", code(script))) <= 2  # its definition, and one call


@every_script
def test_the_documentation_names_the_script(script: scripts.Script) -> None:
    """lua/README.md has a section for each script that names its statuses."""
    text = (files("leasehold") / "lua" / "README.md").read_text(encoding="utf-8")

    assert f"## {script.name}" in text
    assert [name for name in script.header.statuses if f"`{name}`" not in text] == []


@every_script
def test_records_are_read_with_their_layout(script: scripts.Script) -> None:
    """No script looks into a record without judging its layout (83); only read_record does so."""
    record = r"(?:lease|booking|inventory|feed|marker)_(?:key|prefix)"
    reads = re.findall(rf"'HM?GET(?:ALL)?', {record}[^)]*\)", code(script))

    assert [read for read in reads if "'v'" not in read] == []


def test_python_and_lua_know_the_same_layouts() -> None:
    """Both say of the same layouts that they may be read."""
    text = (files("leasehold") / "lua" / "include" / "knows_layout.lua").read_text("utf-8")

    assert re.findall(r"v == '(\d+)'", text) == [v for v in map(str, range(10)) if layout.knows(v)]


def test_check_permissions_tries_every_command_of_the_scripts() -> None:
    """A command that a script uses, and nobody tries out beforehand, is denied in a call."""
    tried = set(
        re.findall(r"^  \{'([A-Z]+)'", code(scripts.load("check_permissions")), re.MULTILINE)
    )

    assert tried == {right.command for right in rights.of_keys()}
