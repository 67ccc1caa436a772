"""A no-op in the place of our service: ``python -m tests.benchmarks.noop serve``.

It starts as ``leasehold serve`` does, so the loop, gRPC's switches and the options of the listener
are those of the service, wherever the package sets them. What is missing is what a call does.
"""

from leasehold.cli.app import main


def _run() -> None:
    # Only now: the command line comes first, as in the service, and may set what gRPC reads.
    from tests.benchmarks import noop_listener  # noqa: PLC0415

    from leasehold import bootstrap  # noqa: PLC0415

    bootstrap.serve = noop_listener.serve
    main()


if __name__ == "__main__":
    _run()
