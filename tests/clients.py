"""What tests of the client share: slots, people, clients of a service, what a service was asked."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.service import Service

from leasehold.client import Client, Operators, Person, Slot, slot_at

ADA = Person("ada", "Ada", "Lovelace", "+44 20 7946 0000", "ada@example.com")
BOB = Person("bob", "Bob", "Noyce", "+1 555 0100", "bob@example.com")
FIVE_MINUTES = timedelta(minutes=5)


def slot_of(staff: str, merchant: str = "salon-1") -> Slot:
    """Return a slot of tomorrow that is this member of staff's alone."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    return slot_at(merchant, "haircut", start, timedelta(minutes=30), staff_id=staff)


def soon(after: timedelta = FIVE_MINUTES) -> datetime:
    """Return a moment from now."""
    return datetime.now(UTC) + after


def operators_of(service: Service, **more: Any) -> Operators:
    """Return a client of the operators' listener."""
    return Operators(str(service.told["operator_listen"]), **more)


def client_of(service: Service, **more: Any) -> Client:
    """Return a client of both listeners."""
    return Client(service.address, operators=operators_of(service), **more)


def port_of(address: str) -> int:
    """Return the port of an address."""
    return int(address.rpartition(":")[2])


def asked(service: Service, method: str) -> int:
    """Return how many calls of a method a service has begun to handle."""
    counts = [
        float(line.rpartition(" ")[2])
        for line in service.http("/metrics")[1].splitlines()
        if line.startswith("grpc_server_started_total{") and f'grpc_method="{method}"' in line
    ]
    return int(sum(counts))


def logged(service: Service, method: str) -> list[dict[str, Any]]:
    """Return the log lines of the calls of a method, which are written a moment after them."""
    return [event for event in service.events() if event.get("method") == method]
