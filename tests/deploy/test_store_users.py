"""Who may do what in the store: deploy/redis/users.acl, on every server."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.calls import booking_request, lease_request
from tests.deploy.deployed_store import DEPLOY, DeployedStore, deployed, make_passwords
from tests.servers import REAL_SERVERS, access_list, binary, poll
from tests.service import Service, in_a_hundred_days, now_ms, run, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc
from leasehold.store import rights

ROOT = DEPLOY.parent
REDIS_README = (ROOT / "lua" / "README.md").read_text()
QUICK = {"CHECK_INTERVAL_S": "0.1"}
SIGNS = {
    "eval": '("EVAL",',
    "evalsha": '("EVALSHA",',
    "scan": '("SCAN",',
    "ping": '("PING",',
    "info": '"INFO"',
    "wait": '"WAIT"',
    "acl|dryrun": '"ACL", "DRYRUN"',
    "role": '"ROLE"',
    "asking": '("ASKING",',
    "cluster|nodes": '("CLUSTER", "NODES")',
    # redis-py sends these, for a setting of ours and for a class of its own.
    "client|setname": '"client_name"',
    "cluster|slots": "NodesManager(",
}
"""What in the code shows that the link asks something beside the commands of the scripts."""


@pytest.fixture(scope="module", params=REAL_SERVERS)
def store(request: pytest.FixtureRequest) -> Iterator[DeployedStore]:
    """A store as it is deployed, with its users."""
    with deployed(request.param) as store:
        yield store


@pytest.fixture(scope="module")
def service(store: DeployedStore) -> Iterator[Service]:
    """A service that logs in by its name and a password from a file."""
    url = f"redis://leasehold@127.0.0.1:{store.port}/0"
    with serving(REDIS_URL=url, REDIS_PASSWORD_FILE=store.password_file, **QUICK) as service:
        yield service


def test_service_user_has_all_that_a_service_needs(store: DeployedStore, service: Service) -> None:
    """Findings are ok but for two settings, a hold becomes a booking, nothing is refused."""

    def findings() -> list[str]:
        return service.http("/readyz?verbose")[1].splitlines()

    poll("all are known", lambda: any("data ok" in line for line in findings()))
    amiss = [line for line in findings() if not line.startswith("[+]")]
    assert [line.split()[1] for line in amiss] == ["inventory", "users"]

    at_ms = now_ms()
    lease = service.create_lease(lease_request(at_ms)).lease
    with grpc.insecure_channel(service.address) as channel:
        stub = pb_grpc.BookingServiceStub(channel)
        booked = stub.CreateBooking(booking_request(at_ms, lease_id=lease.lease_id), timeout=10)
    assert booked.booking.booking_id
    with store.client() as admin:
        assert admin.acl_log() == []


def ask(store: DeployedStore, *words: str, **login: str) -> object:
    """Ask once, logged in or not; raises what the store answers."""
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=store.port, retry=once, **login) as client:  # type: ignore[arg-type]
        return client.execute_command(*words)


def ask_as(store: DeployedStore, user: str, *words: str) -> object:
    """Ask once as a user; raises what the store answers."""
    password = (store.secrets / user).read_text()
    return ask(store, *words, username=user, password=password)


def redis_cli(store: DeployedStore, user: str, line: str) -> str:
    """Run a line that begins with redis-cli, as a user, and return what it prints."""
    login = f"redis-cli -p {store.port} --user {user}"
    done = subprocess.run(
        ["sh", "-c", line.replace("redis-cli", login, 1)],
        env={"PATH": f"{binary('redis62').parent}:/usr/bin:/bin", "REDISCLI_AUTH": ""}
        | {"REDISCLI_AUTH": (store.secrets / user).read_text()},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    return done.stdout.strip()


def test_oncall_user_can_look_as_the_documents_say(store: DeployedStore, service: Service) -> None:
    """Each redis-cli line of lua/README.md and of the README answers the person on call."""
    settings = {"LISTEN": service.address}
    slot = ("--merchant", "salon-1", "--service", "haircut", "--duration", "30m", "--for", "5m")
    held = run("hold", *slot, "--start", f"{in_a_hundred_days()}T10:00Z", settings=settings)
    (suffix,) = re.findall(r"salon-1\.(\w{26})", held.stdout)
    # Those with pipes ask nothing that the others do not.
    lines = re.findall(r"^redis-cli [^|\n]*$", REDIS_README, re.MULTILINE)
    moved = [it.replace("2027-03-01", in_a_hundred_days()) for it in lines]
    answers = [redis_cli(store, "oncall", line.replace("PT30M:anna", "PT30M:")) for line in moved]

    assert answers[0] == f"lease {suffix}"
    assert 200_000 < int(answers[1]) <= 300_000
    assert not [answer for answer in answers if "NOPERM" in answer]


@pytest.mark.parametrize(
    "words",
    [
        ("SET", "slot:{m}:x", "1"),
        ("DEL", "slot:{m}:x"),
        ("PEXPIRE", "slot:{m}:x", "1"),
        ("HSET", "lease:{m}:x", "f", "1"),
        ("EVAL", "return 1", "0"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "SET", "maxmemory", "1"),
        # It would tell the password by which a replica logs in.
        ("CONFIG", "GET", "masterauth"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("SHUTDOWN",),
        ("MONITOR",),
        ("ACL", "SETUSER", "oncall", "+@all"),
        # The records of bookings hold personal data.
        ("HGETALL", "booking:{m}:x"),
        ("HGET", "booking:{m}:x", "original"),
    ],
)
def test_oncall_user_changes_nothing_and_reads_no_bookings(
    store: DeployedStore, words: tuple[str, ...]
) -> None:
    """Whatever a tired person types, the store refuses."""
    with pytest.raises(redis.exceptions.NoPermissionError):
        ask_as(store, "oncall", *words)


@pytest.mark.parametrize(
    "words",
    [
        ("SET", "other", "1", "PX", "1000"),
        ("GET", "other"),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "SET", "maxmemory", "1"),
        # An access list cannot name single parameters, and this one is a password.
        ("CONFIG", "GET", "masterauth"),
        ("ACL", "LIST"),
        ("PUBLISH", "channel", "text"),
    ],
)
def test_service_user_is_kept_to_its_own(store: DeployedStore, words: tuple[str, ...]) -> None:
    """Whoever breaks into a process gets at its keys, and at nothing else of the store."""
    with pytest.raises(redis.exceptions.NoPermissionError):
        ask_as(store, "leasehold", *words)


def test_stranger_is_kept_out(store: DeployedStore) -> None:
    """Who does not log in may do nothing."""
    with pytest.raises(redis.exceptions.AuthenticationError):
        ask(store, "PING")


@pytest.mark.parametrize("name", REAL_SERVERS)
def test_access_list_as_it_is_in_the_project_lets_nobody_in(name: str) -> None:
    """It can be loaded, and its passwords are places to fill: none of them is known to anybody."""
    with deployed(name, DEPLOY / "redis" / "users.acl") as store:

        def keeps_out() -> bool:
            try:
                ask(store, "PING")
            except redis.exceptions.AuthenticationError:
                return True
            except redis.exceptions.ConnectionError:
                return False
            pytest.fail("somebody got in")

        poll("the server answers", keeps_out)
        for user in access_list():
            for password in ("", "0" * 64, user):
                with pytest.raises(redis.exceptions.AuthenticationError):
                    ask(store, "PING", username=user, password=password)


def test_link_asks_what_it_says_and_nothing_else() -> None:
    """Each command without keys that the service is granted stands in the code."""
    modules = (ROOT / "service" / "leasehold" / "store").glob("*.py")
    link = "\n".join(path.read_text() for path in modules if path.stem != "rights")

    assert set(SIGNS) == set(rights.OF_THE_LINK)
    assert [name for name, sign in SIGNS.items() if sign not in link] == []


def test_make_passwords_keeps_what_is_there(tmp_path: Path) -> None:
    """Run again, it changes only the passwords whose files were taken away."""
    make_passwords(tmp_path / "secrets")
    before = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    (tmp_path / "secrets" / "oncall").unlink()
    make_passwords(tmp_path / "secrets")
    after = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    assert set(before) == {"users.acl", *access_list()} - {"default"}
    assert {name for name in after if after[name] != before[name]} == {"users.acl", "oncall"}
    assert len({after[name] for name in after}) == len(after)
    assert all(re.fullmatch(r"[0-9a-f]{64}", after[name]) for name in after if name != "users.acl")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert shutil.which("sha256sum")
