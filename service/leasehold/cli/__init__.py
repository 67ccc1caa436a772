"""The commands that people type."""

import os

# gRPC reads this when it is first used, so it is set before anything imports it. The older listener
# costs a fifth less CPU a call; see docs/decisions.md. An operator's own value stands, and a
# release of gRPC that knows these names no more only says so.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
# gRPC writes a line for every handshake that fails, so that whoever finds the port could fill the
# log. INFO shows them, when one's own caller is not let in.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
