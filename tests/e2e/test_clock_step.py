"""What people see while the store's clock has stepped."""

import grpc
import pytest
from google.rpc import error_details_pb2
from tests.calls import Failure, lease_request, read_failure
from tests.clocks import clocked
from tests.servers import poll
from tests.service import Service, now_ms, serving


def shows(service: Service, line: str) -> bool:
    """Tell whether /readyz?verbose has a line that begins so."""
    return any(each.startswith(line) for each in service.http("/readyz?verbose")[1].splitlines())


def failure_of(service: Service) -> Failure:
    """Return how CreateLease fails."""
    with pytest.raises(grpc.RpcError) as caught:
        service.create_lease(lease_request(now_ms()))
    return read_failure(caught.value)


def test_clock_that_steps_back_is_told_and_counted_by_old_and_new_processes() -> None:
    """A reason with a time to come back, a finding, a metric and a line of the log.

    The process stays ready: what needs no clock goes on. Once the clock is back all is well.
    """
    remaining = "leasehold_clock_step_remaining_seconds"
    with clocked("valkey9") as server, serving(REDIS_URL=server.url) as old:
        poll("known", lambda: shows(old, "[+] step ok"))
        server.step_to(-3600)
        poll("noticed", lambda: shows(old, "[!] step warning: the store's clock stepped back by"))
        with serving(REDIS_URL=server.url) as new:
            for service in (old, new):
                poll("learned", lambda it=service: shows(it, "[!] step warning"))
                failure = failure_of(service)
                assert (failure.code, failure.reason) == (
                    grpc.StatusCode.UNAVAILABLE,
                    "STORE_CLOCK",
                )
                delay = failure.detail(error_details_pb2.RetryInfo).retry_delay
                assert 800 < delay.ToSeconds() <= 900
                metrics = service.http("/metrics")[1].splitlines()
                assert f"{remaining} 0.0" not in metrics
                assert service.http("/readyz")[0] == 200
                steps = [it for it in service.events() if it["event"] == "store_clock_stepped"]
                # A new process knows the last beat only, which was up to a second before.
                assert [abs(it["by_s"] + 3600) < 60 for it in steps] == [True]

            server.step_to(0)
            for service in (old, new):
                poll("back", lambda it=service: shows(it, "[+] step ok"))
                assert service.create_lease(lease_request(now_ms())).HasField("lease")
