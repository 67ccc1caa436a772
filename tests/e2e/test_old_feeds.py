"""What is told of feeds that have stopped coming."""

import json
from pathlib import Path

from tests.servers import poll, running
from tests.service import Service, run, serving
from tests.shop import Shop

STRICT = {"INVENTORY": "strict", "CHECK_INTERVAL_S": "0.05"}


def feeds_line(service: Service) -> str:
    """Return what /readyz?verbose has about feeds."""
    lines = service.http("/readyz?verbose")[1].splitlines()
    return next((line for line in lines if " feeds " in line), "")


def metric(service: Service, name: str) -> float:
    """Return the value of a metric without labels."""
    lines = service.http("/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_feed_that_is_old_is_a_finding_until_the_next_one(tmp_path: Path) -> None:
    """Readiness and doctor name the merchant, metrics tell age and number, until a feed comes."""
    with running("valkey9") as server:
        shop = Shop(server, tmp_path)
        shop.load(shop.slot(9), age_s=27 * 3600)
        with serving(REDIS_URL=server.url, **STRICT) as service:
            old = f"[!] feeds warning: the newest feed is older than 26 hours of {shop.merchant}"
            poll("old", lambda: feeds_line(service) == old)
            assert metric(service, "leasehold_feeds_old") == 1
            assert metric(service, "leasehold_feed_oldest_age_seconds") >= 27 * 3600

            settings = {"REDIS_URL": server.url, "INVENTORY": "strict"}
            examined = json.loads(run("doctor", "--json", settings=settings).stdout)
            finding = {each["name"]: each for each in examined["findings"]}["feeds"]
            assert (finding["state"], finding["detail"]) == ("warning", old.partition(": ")[2])
            assert "inventory drop" in finding["remedy"]

            shop.load(shop.slot(9))
            poll("fresh", lambda: feeds_line(service).startswith("[+] feeds ok"))
            assert metric(service, "leasehold_feeds_old") == 0
            assert metric(service, "leasehold_feed_oldest_age_seconds") < 3600
