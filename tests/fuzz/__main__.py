"""The fuzzer: ``python -m tests.fuzz``. Requests of every method, spoilt at random."""

import argparse
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from tests.fuzz import batch, target
from tests.fuzz.batch import Batch
from tests.fuzz.target import Finding

_BATCH = 2000
_MOST_SHOWN = 10


def main() -> int:
    """Fuzz as the command line says; return 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.getrandbits(32))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="a part of the path of the methods to call")
    wanted = parser.parse_args()
    print(f"--seed {wanted.seed}", flush=True)
    counts = [min(_BATCH, wanted.inputs - at) for at in range(0, wanted.inputs, _BATCH)]
    answers, findings, began_s = Counter[str](), list[Finding](), time.monotonic()
    # A process that has gRPC in it must not fork.
    how = get_context("spawn")
    with ProcessPoolExecutor(wanted.jobs, how, initializer=target.log_to_nowhere) as pool:
        waiting = {
            pool.submit(batch.run, f"{wanted.seed}/{number}", count, wanted.only): number
            for number, count in enumerate(counts)
        }
        for done, future in enumerate(as_completed(waiting), 1):
            counted, found = _result(future, waiting[future])
            answers += counted
            findings += found
            _tell(done, len(counts), answers, findings, began_s)
    for name, count in sorted(answers.items()):
        print(f"{count:>9}  {name}")
    for finding in findings[:_MOST_SHOWN]:
        print(finding)
    return int(bool(findings))


def _tell(
    done: int, batches: int, answers: Counter[str], findings: list[Finding], began_s: float
) -> None:
    """Show how far it is, now and then."""
    if done % max(1, batches // 50) == 0 or done == batches:
        sent, elapsed_s = answers.total(), time.monotonic() - began_s
        rate = f"{sent / elapsed_s:.0f} a second"
        print(f"{elapsed_s:6.0f} s  {sent} inputs, {rate}, {len(findings)} findings", flush=True)


def _result(future: "Future[Batch]", number: int) -> Batch:
    try:
        return future.result()
    except BrokenProcessPool:
        raise SystemExit(f"the process died in batch {number} or in one beside it") from None


if __name__ == "__main__":
    sys.exit(main())
