"""What is found on several nodes, told as one."""

from collections.abc import Mapping, Sequence

from leasehold.model.finding import STATES, Finding


def merge(by_address: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Return one finding of each name: the worst, with the addresses of those that are so bad.

    Every node has found the same names in the same order.
    """
    names = next(iter(by_address.values()), ())
    return [
        _worst({address: found[place] for address, found in by_address.items()})
        for place in range(len(names))
    ]


def _worst(by_address: Mapping[str, Finding]) -> Finding:
    worst = max(by_address.values(), key=lambda finding: STATES.index(finding.state))
    if len(set(by_address.values())) == 1:
        return worst
    bad = (f"{at}: {it.detail}" for at, it in by_address.items() if it.state == worst.state)
    return Finding(worst.name, worst.state, "; ".join(bad))
