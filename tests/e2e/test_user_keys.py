"""Keys of users: two rollouts by real processes, and who is refused."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from tests.calls import booking_request
from tests.servers import RedisServer, poll, running
from tests.service import Service, now_ms, run, serving

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2_grpc as pb_grpc

A, B = "A" * 44, "B" * 44
ROLLOUTS = [(), ("none", A), (A, "none"), (A, "none", B), (B, A, "none")]


@pytest.fixture
def store() -> Iterator[RedisServer]:
    """A server of this test's own."""
    with running("redis7") as server:
        yield server


class Pods:
    """Processes on one store, with one file of keys each."""

    def __init__(self, store: RedisServer, folder: Path) -> None:
        self.store, self.folder, self.count = store, folder, 0

    def settings(self, *lines: str) -> dict[str, str]:
        """Write a file of keys; none without lines."""
        if not lines:
            return {"REDIS_URL": self.store.url}
        self.count += 1
        path = self.folder / f"keys-{self.count}"
        path.write_text("\n".join(lines))
        return {"REDIS_URL": self.store.url, "USER_KEY_FILE": str(path)}

    @contextmanager
    def pod(self, *lines: str) -> Iterator[tuple[Service, pb_grpc.BookingServiceStub]]:
        """Serve with these keys."""
        with (
            serving(**self.settings(*lines)) as service,
            grpc.insecure_channel(service.address) as channel,
        ):
            yield service, pb_grpc.BookingServiceStub(channel)


@pytest.mark.long
def test_user_keys_two_rollouts_lose_no_booking_of_a_user(
    store: RedisServer, tmp_path: Path
) -> None:
    """Before keys, with one and with the next: repeat, list, refusal and forgetting hold (85).

    Of two rollouts that follow each other both processes answer alike while they overlap.
    """
    pods, at_ms = Pods(store, tmp_path), now_ms()
    others: list[pb_grpc.BookingServiceStub] = []
    with ExitStack() as before:
        for number, lines in enumerate(ROLLOUTS):
            stack = ExitStack()
            service, stub = stack.enter_context(pods.pod(*lines))
            start_s = at_ms // 1000 + 86_400 * (number + 1)
            wanted = booking_request(at_ms, token=f"t-{number}", start_s=start_s)
            made = stub.CreateBooking(wanted, timeout=10)
            listed = stub.ListBookings(pb.ListBookingsRequest(user_id="ada"), timeout=10)
            assert len(listed.bookings) == number + 1
            # The process of the rollout before still serves.
            for other in others:
                assert other.CreateBooking(wanted, timeout=10) == made
                found = other.ListBookings(pb.ListBookingsRequest(user_id="ada"), timeout=10)
                assert len(found.bookings) == number + 1
            for past in range(number):
                start_s = at_ms // 1000 + 86_400 * (past + 1)
                second = booking_request(at_ms, token=f"second-{number}-{past}", start_s=start_s)
                refused = stub.CreateBooking(second, timeout=10).booking_failure
                assert refused.cause == pb.BookingFailure.SLOT_ALREADY_BOOKED_BY_USER
            assert service.http("/readyz")[0] == 200
            before.close()
            before.push(stack)
            others = [stub]
        settings = pods.settings(*ROLLOUTS[-1])
        done = run("forget", "--user", "ada", "--json", settings=settings)
        assert len(json.loads(done.stdout)["booking_ids"]) == len(ROLLOUTS), done.stderr


def test_user_keys_that_are_not_the_stores_refuse_to_start(
    store: RedisServer, tmp_path: Path
) -> None:
    """A process and a command without the store's key do nothing; no key is shown (85)."""
    pods = Pods(store, tmp_path)
    with pods.pod(A) as (service, _):
        for lines in ((), (B,)):
            settings = pods.settings(*lines)
            refused = run("serve", settings={**settings, "LISTEN": "127.0.0.1:0"})
            forget = run("forget", "--user", "ada", settings=settings)
            for ended in (refused, forget):
                shown = ended.stdout + ended.stderr
                assert ended.returncode == 2, shown
                assert "are digested with" in " ".join(shown.split())
                assert {A, B}.isdisjoint(shown.split())
        poll("the findings", lambda: "users" in service.http("/readyz?verbose")[1])
        assert A not in service.log_text() + service.http("/config")[1]


def test_user_keys_without_a_file_are_a_warning(store: RedisServer) -> None:
    """Readiness and the doctor say that user ids can be tried out (85)."""
    with serving(REDIS_URL=store.url) as service:
        told = service.http("/readyz?verbose")[1]
        assert "LEASEHOLD_USER_KEY_FILE has no key" in told
    done = run("doctor", "--json", settings={"REDIS_URL": store.url})
    found = {each["name"]: each for each in json.loads(done.stdout)["findings"]}
    assert found["users"]["state"] == "warning"
    assert "LEASEHOLD_USER_KEY_FILE" in found["users"]["remedy"]
