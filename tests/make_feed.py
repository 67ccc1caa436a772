"""Makes an availability feed of a realistic shape, to try and to measure with.

500 merchants over 30 days: salons with staff, studios with classes of 20 spots, and restaurants
with a table for every party size; about a million slots. ``python tests/make_feed.py feed.json.gz``
"""

import argparse
import gzip
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DAY_S = 86_400
HOUR_S = 3_600
Entry = dict[str, Any]


def salon(merchant_id: str, midnight_s: int, chance: random.Random) -> Iterator[Entry]:
    """Three people who work from 9 to 18, each with a slot every half hour for two services."""
    for staff in range(3):
        for service, minutes in (("haircut", 30), ("colour", 90)):
            for start_s in range(midnight_s + 9 * HOUR_S, midnight_s + 18 * HOUR_S, 1_800):
                yield {
                    **slot(merchant_id, service, start_s, minutes),
                    "spots_total": 1,
                    "spots_open": int(chance.random() > 0.2),
                    "resources": {"staff_id": f"staff-{staff}", "staff_name": f"Person {staff}"},
                }


def studio(merchant_id: str, midnight_s: int, chance: random.Random) -> Iterator[Entry]:
    """Classes of 20 spots in two rooms, every hour from 7 to 21."""
    for room in ("upstairs", "downstairs"):
        for service in ("yoga", "pilates"):
            for start_s in range(midnight_s + 7 * HOUR_S, midnight_s + 21 * HOUR_S, HOUR_S):
                yield {
                    **slot(merchant_id, service, start_s, 55),
                    "spots_total": 20,
                    "spots_open": chance.choice((20, 20, 20, 17, 8, 0)),
                    "resources": {"room_id": room, "room_name": room.title()},
                }


def restaurant(merchant_id: str, midnight_s: int, chance: random.Random) -> Iterator[Entry]:
    """A table for each party size, every half hour at lunch and dinner."""
    for opens, closes in ((11, 14), (17, 22)):
        for start_s in range(midnight_s + opens * HOUR_S, midnight_s + closes * HOUR_S, 1_800):
            for party_size in (1, 2, 4, 6):
                yield {
                    **slot(merchant_id, "table", start_s, 90),
                    "spots_total": 8 - party_size,
                    "spots_open": chance.randint(0, 8 - party_size),
                    "resources": {"party_size": party_size},
                }


def slot(merchant_id: str, service: str, start_s: int, minutes: int) -> Entry:
    """Return what every entry has; long numbers as texts, as protobuf writes its JSON."""
    return {
        "merchant_id": merchant_id,
        "service_id": service,
        "start_sec": str(start_s),
        "duration_sec": str(minutes * 60),
        "availability_tag": f"{merchant_id}-{start_s}",
    }


def entries(merchants: int, days: int, first_s: int, seed: int) -> Iterator[Entry]:
    """Yield every entry: of ten merchants, two are salons, three studios and five restaurants."""
    chance = random.Random(seed)
    kinds = [salon, studio, restaurant, studio, restaurant]
    kinds += [salon, restaurant, restaurant, studio, restaurant]
    for number in range(merchants):
        for day in range(days):
            make = kinds[number % len(kinds)]
            yield from make(f"merchant-{number:05}", first_s + day * DAY_S, chance)


def write(path: Path, *, merchants: int, days: int, first_s: int, seed: int) -> int:
    """Write a feed, and return how many slots it lists."""
    count = 0
    packed = path.suffix == ".gz"
    with gzip.open(path, "wt", 3) if packed else path.open("w") as file:
        metadata = {
            "processing_instruction": "PROCESS_AS_COMPLETE",
            "shard_number": 0,
            "total_shards": 1,
            "generation_timestamp": str(int(time.time())),
        }
        file.write(f'{{"metadata": {json.dumps(metadata)}, "service_availability": [')
        file.write('{"availability": [')
        for count, entry in enumerate(entries(merchants, days, first_s, seed), 1):
            file.write((",\n" if count > 1 else "\n") + json.dumps(entry))
        file.write("\n]}]}\n")
    return count


def main() -> None:
    """Write the feed that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--merchants", type=int, default=500)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tomorrow_s = (int(time.time()) // DAY_S + 1) * DAY_S
    count = write(
        options.path,
        merchants=options.merchants,
        days=options.days,
        first_s=tomorrow_s,
        seed=options.seed,
    )
    sys.stdout.write(f"{options.path}: {count:,} slots of {options.merchants} merchants\n")


if __name__ == "__main__":
    main()
