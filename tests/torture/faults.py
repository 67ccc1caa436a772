"""What goes wrong, in which order: a schedule made from a seed, and the one who carries it out."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import redis
from tests.servers import RedisServer
from tests.topologies import ask
from tests.torture.pods import Pod
from tests.torture.stores import Store


class Kind(StrEnum):
    """Every fault by its name."""

    KILL_PRIMARY = "kill a primary, start it again later"
    BLINK_PRIMARY = "kill a primary, start it again at once"
    PAUSE_PRIMARY = "pause a primary"
    KILL_REPLICA = "kill a replica, start it again later"
    PAUSE_REPLICA = "pause a replica"
    FAIL_OVER = "ask for a failover"
    FORCE_OVER = "force a failover of a primary that is cut off"
    TAKE_OVER = "take over from a primary that is cut off, without votes"
    CUT_OFF = "cut a primary off from its peers"
    CUT_CLIENTS = "cut the service off from the store"
    DROP_CLIENTS = "cut the service's connections"
    FLUSH_SCRIPTS = "flush the scripts everywhere"
    KILL_POD = "kill a server process"
    PAUSE_POD = "pause a server process"


_ANYWHERE = (Kind.FLUSH_SCRIPTS, Kind.KILL_POD, Kind.PAUSE_POD, Kind.DROP_CLIENTS)
_REPLICATED = (
    Kind.KILL_PRIMARY,
    Kind.PAUSE_PRIMARY,
    Kind.BLINK_PRIMARY,
    Kind.KILL_REPLICA,
    Kind.PAUSE_REPLICA,
    Kind.FAIL_OVER,
)
OF_TOPOLOGY = {
    "single": (Kind.KILL_PRIMARY, Kind.PAUSE_PRIMARY, Kind.CUT_CLIENTS, *_ANYWHERE),
    "sentinel": (*_REPLICATED, Kind.CUT_OFF, *_ANYWHERE),
    "cluster": (*_REPLICATED, Kind.FORCE_OVER, Kind.TAKE_OVER, *_ANYWHERE),
}
"""Which faults each store can suffer."""
_TAKES_OVER = {Kind.FORCE_OVER: "FORCE", Kind.TAKE_OVER: "TAKEOVER"}
_SHORTEST_S, _LONGEST_S = 0.3, 4.0
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. The same seed makes the same ones."""

    kind: Kind
    after_s: float
    """How long all is well before it."""
    lasts_s: float
    which: int
    """Picks the one that is hit from those that can be."""

    def __str__(self) -> str:
        """Tell it in a line."""
        return f"{self.kind} ({self.lasts_s:.1f} s)"


def schedule(seed: str, topology: str) -> Iterator[Fault]:
    """Yield faults without end: every kind once in each round, in a random order."""
    chance = random.Random(f"{seed}/faults")
    while True:
        kinds = list(OF_TOPOLOGY[topology])
        chance.shuffle(kinds)
        for kind in kinds:
            after_s = chance.uniform(0.2, _LONGEST_PAUSE_S)
            lasts_s = chance.uniform(_SHORTEST_S, _LONGEST_S)
            yield Fault(kind, after_s, lasts_s, chance.randrange(1000))


@dataclass
class Nemesis:
    """Carries out faults one after the other, each healed before the next."""

    store: Store
    pods: Sequence[Pod]
    told: Callable[[str], None]
    done: list[Fault] = field(default_factory=list)

    def run(self, faults: Iterator[Fault], ends_at_s: float) -> None:
        """Do as many as begin before ``ends_at_s`` of the monotonic clock; blocks meanwhile."""
        for fault in faults:
            if time.monotonic() + fault.after_s >= ends_at_s:
                return
            time.sleep(fault.after_s)
            self.told(str(fault))
            self._do(fault)
            self.store.wait_until_healthy()
            self.done.append(fault)

    def _do(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.FLUSH_SCRIPTS | Kind.DROP_CLIENTS:
                harm = _flush_scripts if fault.kind is Kind.FLUSH_SCRIPTS else _drop_clients
                for server in self.store.servers:
                    # A replica that takes over all data from its primary serves nobody meanwhile.
                    with contextlib.suppress(redis.exceptions.BusyLoadingError):
                        harm(server)
            case Kind.KILL_POD | Kind.PAUSE_POD:
                pod = self.pods[fault.which % len(self.pods)]
                ways = (pod.kill, pod.start), (pod.pause, pod.resume)
                _suffer(ways[fault.kind is Kind.PAUSE_POD], fault.lasts_s)
            case Kind.KILL_REPLICA | Kind.PAUSE_REPLICA:
                self._hit(self._pick(self.store.replicas(), fault), fault)
            case _:
                self._hit(self._pick(self.store.primaries(), fault), fault)

    def _hit(self, server: RedisServer, fault: Fault) -> None:
        lasts_s, store = fault.lasts_s, self.store
        match fault.kind:
            case Kind.KILL_PRIMARY | Kind.KILL_REPLICA:
                _suffer((server.stop, server.start), lasts_s)
            case Kind.BLINK_PRIMARY:
                _suffer((server.stop, server.start), 0)
            case Kind.PAUSE_PRIMARY | Kind.PAUSE_REPLICA:
                _suffer((server.pause, server.resume), lasts_s)
            case Kind.FAIL_OVER:
                store.fail_over(server, "")
            case _:
                store.cut_off(server)
                time.sleep(lasts_s)
                if fault.kind in _TAKES_OVER:
                    store.fail_over(server, _TAKES_OVER[fault.kind])
                store.rejoin(server)

    def _pick(self, servers: Sequence[RedisServer], fault: Fault) -> RedisServer:
        """Pick by the places that servers had in the beginning: ports are never the same."""
        ordered = [server for server in self.store.servers if server in servers]
        return ordered[fault.which % len(ordered)]


def _suffer(ways: tuple[Callable[[], None], Callable[[], None]], lasts_s: float) -> None:
    """Begin something, and heal it a while later."""
    begin, heal = ways
    begin()
    time.sleep(lasts_s)
    heal()


def _flush_scripts(server: RedisServer) -> None:
    ask(server, "SCRIPT", "FLUSH")


def _drop_clients(server: RedisServer) -> None:
    with server.client() as client:
        for each in client.client_list(_type="normal"):
            if each["name"].startswith("leasehold"):
                client.client_kill_filter(_id=each["id"])
