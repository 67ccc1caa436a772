"""What commands print where standard output is no terminal, and where a terminal shows little."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.service import Service, in_a_hundred_days, on_a_terminal, run, serving
from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

from leasehold.cli.app import app

BOXES = re.compile("[\u2500-\u257f]")
ID = r"salon-1\.[0-9A-Z]{26}"
UNTIL = f"{in_a_hundred_days()}T09:59Z"
PERSON = "--given-name Ada --family-name L --telephone 1 --email a@b.c"
# Its output is the log, and LEASEHOLD_LOG_FORMAT says in which form.
WITHOUT_JSON = {"serve"}

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all the commands."""
    folder = str(tmp_path_factory.mktemp("store"))
    with serving("--embedded", EMBEDDED_DIR=folder, FEED_MAX_EVENTS="100") as service:
        yield service


@pytest.fixture
def ask(service: Service, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command in this process, in a narrow pipe, and return its standard output."""
    settings = {
        "LEASEHOLD_LISTEN": service.address,
        "LEASEHOLD_OPERATOR_LISTEN": str(service.told["operator_listen"]),
        "LEASEHOLD_OPS_LISTEN": str(service.told["ops_listen"]),
        "LEASEHOLD_REDIS_URL": str(service.told["redis_url"]),
        # Neither a width nor a wish for colours makes a terminal of a pipe.
        "COLUMNS": "40",
        "FORCE_COLOR": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def ask(line: str, *, ends_with: int = 0) -> str:
        done = CliRunner().invoke(app, line.split())
        assert done.exit_code == ends_with, f"{line}: {done.output}"
        assert not BOXES.search(done.stdout), line
        return done.stdout

    return ask


def slot(staff: str) -> str:
    """Return a slot as it is typed."""
    when = f"--start {in_a_hundred_days()}T10:00Z --duration 30m"
    return f"--merchant salon-1 --service haircut --staff {staff} {when}"


def test_piped_config_is_one_setting_a_line(ask: Ask) -> None:
    """A setting is found with its value, its source and its meaning by grep, in one line."""
    lines = ask("config").splitlines()

    assert {line.count("\t") for line in lines} == {3}
    (line,) = [line for line in lines if line.startswith("LEASEHOLD_TLS_CERT_FILE\t")]
    assert line.split("\t")[2:] == [
        "default",
        "Certificate of the partner listener, with its chain.",
    ]


def test_piped_commands_print_no_boxes_and_one_record_a_line(ask: Ask) -> None:
    """Each command's records are lines with tabs, whatever the width; ids and places are whole."""
    held = ask(f"hold {slot('anna')} --for 5m")
    lease_id = re.findall(rf"^lease\t({ID})$", held, re.MULTILINE)[0]
    place = f"{in_a_hundred_days()} 10:00:00 UTC for 30m, service haircut, staff anna"
    (line,) = ask("lease list --merchant salon-1").splitlines()
    assert line.startswith(f"{lease_id}\t{place}, spot 1\theld\t")
    assert ask(f"slot inspect {slot('anna')}").startswith("1\theld\t")
    assert f"lease\t{lease_id}\n" in ask(f"lease get {lease_id}")
    booked = ask(f"book {slot('anna')} --user ada {PERSON} --lease {lease_id}")
    (booking_id,) = re.findall(rf"^booking\t({ID})$", booked, re.MULTILINE)
    assert ask("bookings --user ada") == f"{booking_id}\t{place}\tCONFIRMED\n"
    assert ask(f"check {slot('anna')}") == "Free spots: 0\n"
    for line in ("health", "inventory show", f"cancel --booking {booking_id}"):
        assert ask(line) or line == "inventory show"
    # Users are digested without a key, which is a warning.
    assert ask("doctor", ends_with=1).startswith("version\tok\t")
    assert ask("forget --user ada").startswith("Forgotten\nbookings\t1\n")


def test_every_command_has_json_for_programs(ask: Ask) -> None:
    """What is shown to people is there as JSON, with the names of the API."""

    def read(line: str) -> Any:
        return json.loads(ask(f"{line} --json"))

    held = read(f"hold {slot('bo')} --for 5m")
    assert held["slot"]["resources"] == {"staff_id": "bo"}
    assert held["lease_expiration_time"].endswith("Z")
    assert read(f"check {slot('bo')}")["count_available"] == 0
    booked = read(f"book {slot('bo')} --user bo {PERSON} --lease {held['lease_id']}")
    assert (booked["status"], booked["slot"]["start_time"]) == (
        "CONFIRMED",
        f"{in_a_hundred_days()}T10:00:00Z",
    )
    assert read("bookings --user bo") == [booked]
    assert read(f"cancel --booking {booked['booking_id']}")["status"] == "CANCELED"
    setting = next(each for each in read("config") if each["setting"] == "LEASEHOLD_LOG_LEVEL")
    assert setting.keys() == {"setting", "value", "from", "meaning"}
    assert read("script beat")["source"].startswith("-- beat")
    health = read("health")
    assert health["ready"] is True
    assert {"name": "store", "state": "ok", "detail": "answers"} in health["findings"]
    assert read("health --live")["alive"] is True
    assert read("inventory show") == []


def commands(group: TyperGroup, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command by its words."""
    context: Any = None
    for name in group.list_commands(context):
        found: Any = group.get_command(context, name)
        if isinstance(found, TyperGroup):
            yield from commands(found, *names, name)
        else:
            yield (*names, name), found.make_context(name, [], resilient_parsing=True).command


def test_every_command_has_an_option_for_json() -> None:
    """No command is left to a program that reads what is meant for people."""
    without = {
        " ".join(words)
        for words, command in commands(get_group(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == WITHOUT_JSON


def test_quiet_prints_the_id_alone(ask: Ask) -> None:
    """The ids that a command made or found are alone on their lines; -q with --json is a fault."""
    lease_id = ask(f"hold {slot('cy')} --for 5m -q").strip()
    assert re.fullmatch(ID, lease_id)
    assert lease_id in ask("lease list --merchant salon-1 -q").splitlines()
    assert ask(f"slot inspect {slot('cy')} --quiet") == f"{lease_id}\n"
    assert ask(f"lease extend {lease_id} --until {UNTIL} --reason INC-1 -q") == f"{lease_id}\n"
    booking_id = ask(f"book {slot('cy')} --user cy {PERSON} --lease {lease_id} -q").strip()
    assert ask("bookings --user cy -q") == f"{booking_id}\n"
    assert ask(f"cancel --booking {booking_id} -q") == f"{booking_id}\n"

    both = CliRunner().invoke(app, f"hold {slot('cy')} --for 5m -q --json".split())
    assert (both.exit_code, both.stdout) == (2, "")


def test_an_ascii_terminal_shows_what_it_can(service: Service) -> None:
    """A character that a terminal cannot show is replaced in tables and lines, escaped in JSON."""
    words = ("hold", *slot("Zo\u00eb").split(), "--for", "5m", "--reference", "r-ascii")
    at = ("--address", service.address)
    ascii_only = {"PYTHONIOENCODING": "ascii"}

    piped = run(*words, *at, extra=ascii_only)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "staff\tZo\\xeb\n" in piped.stdout
    shown = run(*words, *at, "--json", extra=ascii_only)
    assert json.loads(shown.stdout)["slot"]["resources"] == {"staff_id": "Zo\u00eb"}
    seen = on_a_terminal(*words, *at, encoding="ascii")
    assert re.search(r"\| staff +\| Zo\\xeb", seen)


def test_a_terminal_shows_tables_in_which_nothing_is_cut(service: Service) -> None:
    """People see a table that fits the terminal: ids are in one piece, other values are folded."""
    at = ("--address", str(service.told["operator_listen"]))
    run("hold", *slot("di").split(), "--for", "5m", "--address", service.address)
    seen = on_a_terminal("lease", "list", "--merchant", "salon-1", *at, columns=80)
    assert re.search(rf"│ {ID} +│ held +│", seen)
    assert max(map(len, seen.splitlines())) <= 80
    settings = on_a_terminal("config", columns=80)
    assert max(map(len, settings.splitlines())) <= 80
    assert "\u2026" not in settings


SHOW_TIMES = {
    *("hold", "book", "cancel", "bookings", "slot inspect", "feed tail", "inventory show"),
    *("lease get", "lease list", "lease release", "lease extend"),
}


def test_times_are_shown_in_the_zone_of_the_reader(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UTC, or the zone of --tz or LEASEHOLD_TZ with its offset; JSON has UTC in any case."""
    with_zone = {
        " ".join(words)
        for words, command in commands(get_group(app))
        if any("--tz" in parameter.opts for parameter in command.params)
    }
    assert with_zone == SHOW_TIMES
    there = f"{in_a_hundred_days()} 15:30:00+05:30 for 30m"
    assert f"slot\t{there}\n" in ask(f"hold {slot('eve')} --for 5m --tz Asia/Kolkata")
    monkeypatch.setenv("LEASEHOLD_TZ", "Asia/Kolkata")
    (line,) = [line for line in ask("lease list --merchant salon-1").splitlines() if "eve" in line]
    lease_id, place, _, until, left = line.split("\t")
    assert place.startswith(there)
    assert re.fullmatch(r"[0-9-]{10} [0-9:]{8}\+05:30", until)
    assert re.fullmatch("[34]m([0-9]{2}s)? left", left)
    assert re.search(r"^created\t.{19}\+05:30$", ask(f"lease get {lease_id}"), re.MULTILINE)
    assert ask("feed tail --merchant salon-1 --no-follow").count(there) >= 1
    assert until in ask(f"slot inspect {slot('eve')}")
    assert "UTC" in ask(f"lease get {lease_id} --tz UTC")
    shown = json.loads(ask(f"lease get {lease_id} --json"))
    assert shown["slot"]["start_time"] == f"{in_a_hundred_days()}T10:00:00Z"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "../../etc/passwd", "/etc/passwd"])
def test_a_time_zone_that_is_unknown_is_a_fault(zone: str) -> None:
    """The option or the variable is named, with an example, before any call."""
    line = ["lease", "get", "salon-1.0"]
    by_option = CliRunner().invoke(app, [*line, "--tz", zone])
    by_variable = CliRunner().invoke(app, line, env={"LEASEHOLD_TZ": zone})
    fault = f"{zone!r} is not a time zone of this machine; write UTC or a name like Europe/Berlin"
    for done in (by_option, by_variable):
        assert (done.exit_code, done.stdout) == (2, "")
        assert fault in " ".join(done.stderr.split())
        assert "--tz" in done.stderr


def test_the_variable_of_the_time_zone_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """LEASEHOLD_TZ is no misspelt setting."""
    monkeypatch.setenv("LEASEHOLD_TZ", "Europe/Berlin")
    assert "LEASEHOLD_TZ" not in CliRunner().invoke(app, ["config"]).stderr
