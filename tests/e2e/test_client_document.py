"""The examples of docs/client.md, on a running service."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, message_factory
from tests.servers import RedisServer
from tests.service import Service, in_a_hundred_days, serving
from tests.tls import House, house

from leasehold.generated.ext.maps.booking.partner.v2 import booking_service_pb2 as pb
from leasehold.generated.leasehold.v1 import lease_service_pb2 as operators_pb

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "client.md").read_text()
EXAMPLES = ROOT / "docs" / "examples"
DAY = "2027-03-01"
BOOKING_PROTO = "ext/maps/booking/partner/v2/booking_service.proto"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """What `make run` serves."""
    with serving("--embedded", EMBEDDED_DIR=str(tmp_path)) as service:
        yield service


def test_python_example_holds_and_books(service: Service) -> None:
    """The first run books; the second is told that the slot is taken."""
    text = (EXAMPLES / "python" / "hold_and_book.py").read_text()
    moved = (
        text.replace("127.0.0.1:50051", service.address)
        .replace("127.0.0.1:50052", str(service.told["operator_listen"]))
        .replace(
            "2027, 3, 1, 10", ", ".join(map(str, map(int, in_a_hundred_days().split("-")))) + ", 10"
        )
    )
    assert in_a_hundred_days().split("-")[0] in moved

    def run() -> str:
        return subprocess.run(
            [sys.executable, "-c", moved], check=True, capture_output=True, text=True, timeout=60
        ).stdout

    assert re.fullmatch(r"held until [0-9:]{8} UTC\nbooked: salon-1\.[0-9A-Z]{26}\n", run())
    assert run() == "not held: SLOT_UNAVAILABLE\n"


def test_document_quotes_what_the_examples_have() -> None:
    """What is quoted of the Go program stands in it."""
    (quoted,) = re.findall(r"^```go\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)

    assert textwrap.indent(quoted, "\t") in (EXAMPLES / "go" / "main.go").read_text()


def grpcurl_calls() -> list[tuple[str, str, str]]:
    """Return service, method and body of every call in the document."""
    return [
        (service, method, body)
        for body, service, method in re.findall(
            r"^grpcurl .*?-d '(\{.*?\})' \S+ (\S+)/(\S+)$", DOCUMENT, re.MULTILINE | re.DOTALL
        )
    ]


def test_grpcurl_bodies_are_those_of_the_methods(service: Service) -> None:
    """Each body is the method's JSON; one after the other they hold, book and show a lease."""
    calls = grpcurl_calls()
    assert [method for _, method, _ in calls] == ["CreateLease", "CreateBooking", "GetLease"]
    files = (pb.DESCRIPTOR, operators_pb.DESCRIPTOR)
    services = {each.full_name: each for file in files for each in file.services_by_name.values()}
    lease_id, answers = "", []
    for name, method, body in calls:
        described = services[name].methods_by_name[method]
        request = message_factory.GetMessageClass(described.input_type)()
        filled = json.loads(body.replace(DAY, in_a_hundred_days()).replace("LEASE", lease_id))
        json_format.ParseDict(filled, request)
        answer = ask(service, described, request)
        answers.append(answer)
        lease_id = lease_id or answer.lease.lease_id
    assert answers[1].booking.booking_id
    assert answers[2].lease.booking_id == answers[1].booking.booking_id


def ask(service: Service, method: Any, request: Any) -> Any:
    """Call a method by its description, as a tool does that knows it from reflection."""
    is_partners = method.containing_service.file is pb.DESCRIPTOR
    address = service.address if is_partners else str(service.told["operator_listen"])
    answer = message_factory.GetMessageClass(method.output_type)
    with grpc.insecure_channel(address) as channel:
        return channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            type(request).SerializeToString,
            answer.FromString,
        )(request, timeout=10)


@pytest.mark.long
@pytest.mark.skipif("FAKETIME" in os.environ, reason="Go asks the kernel for the time")
def test_go_example_holds_and_books_by_mutual_tls(valkey: RedisServer, tmp_path: Path) -> None:
    """The document's protoc makes the code, Go compiles the program, and it books a slot."""
    at_home = house(tmp_path)
    program = go_program(tmp_path)
    with serving(REDIS_URL=valkey.url, **at_home.settings()) as service:

        def run() -> subprocess.CompletedProcess[str]:
            return run_go(program, service, at_home)

        first, second = run(), run()
    assert first.returncode == 0, first.stderr
    assert re.search(r"^booked: salon-1\.[0-9A-Z]{26}$", first.stdout, re.MULTILINE)
    assert second.returncode == 1
    assert "not held: SLOT_UNAVAILABLE" in second.stderr


def run_go(program: Path, service: Service, at_home: House) -> subprocess.CompletedProcess[str]:
    """Run the Go program on a day that is always ahead."""
    cert_file, key_file = at_home.partner
    words = ("-address", service.address, "-ca", at_home.servers.ca_file)
    shows = ("-cert", cert_file, "-key", key_file)
    start = f"{in_a_hundred_days()}T10:00:00Z"
    return subprocess.run(
        [program, *words, *shows, "-start", start],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def go_program(directory: Path) -> Path:
    """Build the Go example with the document's own protoc line, or skip where there is no Go.

    Debian's packages have the libraries, older than those that the document's `@latest` brings: of
    what the example uses, NewClient was called Dial.
    """
    for tool in ("go", "protoc-gen-go", "protoc-gen-go-grpc"):
        if not shutil.which(tool):
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {tool} on this machine")
    home = directory / "go" / "src" / "example.com" / "yours"
    home.mkdir(parents=True)
    (protoc,) = re.findall(r"^protoc (.*?\.proto)$", DOCUMENT, re.MULTILINE | re.DOTALL)
    words = protoc.replace("\\\n", " ").replace("-I protos", f"-I {ROOT / 'protos'}").split()
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *words], cwd=home, check=True)
    text = (EXAMPLES / "go" / "main.go").read_text()
    (home / "main.go").write_text(text.replace("grpc.NewClient(", "grpc.Dial("))
    subprocess.run(
        ["go", "build", "-o", directory / "program", "example.com/yours"],
        cwd=home,
        env={
            **os.environ,
            "GO111MODULE": "off",
            "GOPATH": f"{directory / 'go'}:/usr/share/gocode",
            "GOCACHE": str(directory / "cache"),
        },
        check=True,
        timeout=100,
    )
    return directory / "program"
