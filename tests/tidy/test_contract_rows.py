import ast
from pathlib import Path

import pytest

RPC_TESTS = Path(__file__).parents[1] / "rpc"

ROWS = {
    "5": """
        v2_check_availability_invalid_argument
        v2_create_lease_invalid_argument v2_create_lease_booking_failure
        v2_create_booking_invalid_argument v2_create_booking_not_found
        v2_create_booking_booking_failure
        v2_update_booking_invalid_argument v2_update_booking_not_found
        v2_get_booking_status_not_found v2_list_bookings_not_found
        v0_create_lease_invalid_argument v0_create_lease_already_exists
        v0_create_lease_resource_exhausted
        v0_create_booking_invalid_argument v0_create_booking_not_found
        v0_create_booking_resource_exhausted v0_create_booking_already_exists
        v0_update_booking_invalid_argument v0_update_booking_not_found_or_resource_exhausted
    """,
    "6.1": "l1 l2 l3 l4 l5 l6 l7 l8 l9 l10 l11 l12 l13",
    "6.2": """
        order_of_judgement clock what_held_means past_deadline granted_expiry asked_expiry_absent
        asked_expiry_past slot_start_past slot_start_too_far slot_times ids_and_tokens
        lease_and_booking_ids slot_identity one_key_space scope_of_references lease_replay_held
        lease_replay_consumed lease_replay_ended reference_reused refused_lease_repeated
        expired_versus_unknown booking_replay consumed_lease_other_token expired_lease_booking
        lease_slot_mismatch booking_without_spot count_available update_cancel update_move
        v0_create_booking_key bookings_across_versions personal_data store_trouble
        grant_too_slow error_details
    """,
    "7": "t1 t2 t3 t4 t5 t6 t9 t10",
}
"""Every row of the contract that a server can show, by section, in the contract's order.

T7 and T8 are not here: the documents say nothing that could be shown.
"""


def rows() -> list[str]:
    """Return the slug of every row."""
    return [row for section in ROWS.values() for row in section.split()]


def written_tests() -> list[str]:
    """Return the name of every test in the files of the contract."""
    return [
        node.name
        for path in sorted(RPC_TESTS.glob("test_contract_*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]


def rows_of(test: str) -> list[str]:
    """Return the rows that a test is named after."""
    return [row for row in rows() if f"{test}_".startswith(f"test_{row}_")]


def covered() -> set[str]:
    """Return the rows that have a test."""
    return {row for test in written_tests() for row in rows_of(test)}


@pytest.mark.parametrize(("section", "count"), [("5", 19), ("6.1", 13), ("6.2", 35), ("7", 8)])
def test_every_row_is_listed_once(section: str, count: int) -> None:
    """A section has as many rows as the contract gives it, and no two have the same name."""
    assert len(ROWS[section].split()) == count
    assert len(set(rows())) == len(rows())


def test_every_row_has_a_test() -> None:
    """A row that a server can show has a test that is named after it."""
    assert [row for row in rows() if row not in covered()] == []


def test_every_test_is_named_after_one_row() -> None:
    """A reader finds the row of every test by its name."""
    assert [test for test in written_tests() if len(rows_of(test)) != 1] == []
