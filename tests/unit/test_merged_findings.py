from leasehold.model.finding import Finding
from leasehold.store.findings import merge


def test_merge_of_what_is_alike_names_no_address() -> None:
    """What holds for every node is said once."""
    well = Finding("eviction", "ok", "noeviction")

    assert merge({"a:1": [well], "b:2": [well]}) == [well]


def test_merge_tells_the_worst_and_where_it_is() -> None:
    """One bad node is as bad as all; those that are better are not named."""
    found = merge(
        {
            "a:1": [Finding("eviction", "ok", "noeviction"), Finding("clock", "ok", "near")],
            "b:2": [Finding("eviction", "warning", "lru"), Finding("clock", "ok", "near")],
            "c:3": [Finding("eviction", "warning", "lfu"), Finding("clock", "ok", "near")],
        }
    )

    assert found == [
        Finding("eviction", "warning", "b:2: lru; c:3: lfu"),
        Finding("clock", "ok", "near"),
    ]
