"""``leasehold doctor``."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from leasehold import bootstrap
from leasehold.cli import options
from leasehold.cli.console import REFUSED, UNAVAILABLE, fail, load_settings, out, print_json
from leasehold.cli.sheet import Sheet
from leasehold.cli.storing import with_store
from leasehold.model import store_url
from leasehold.model.complaint import Ailment, Examination
from leasehold.model.errors import StoreUnavailableError
from leasehold.model.finding import Finding
from leasehold.store import rights
from leasehold.store.doctor import Doctor

Permissions = Annotated[
    bool,
    typer.Option(
        "--permissions", help="Only ask which commands and key patterns the store's user lacks."
    ),
]
REMEDIES = {
    "version": "Use Redis or Valkey 6.2 or later.",
    "permissions": "Grant the store's user the rules named: ACL SETUSER, and in its access list.",
    "eviction": "Set maxmemory-policy noeviction, and give Leasehold a store of its own.",
    "persistence": "Turn the append-only file on (appendonly yes).",
    "restart": "Give the store's user default every command and key, and leave it off, as the first"
    " line of deploy/redis/users.acl does; ACL LOAD. Do so before the store restarts.",
    "replicas": "Bring the replicas back, or lower LEASEHOLD_REPLICA_ACKS.",
    "clock": "Let NTP set the clocks of the store's machine and of the pods.",
    "data": "Find out who flushed or restarted it. Holds of that time may be granted twice until"
    " LEASEHOLD_MAX_LEASE_S has passed; LEASEHOLD_QUARANTINE=on refuses meanwhile.",
    "step": "Let NTP slew the clock of the store's machine, and never step it. If the clock was"
    " right before, set it back: service goes on at once.",
    "slots": "Look whether a producer gives durations in milliseconds. Such slots can be booked,"
    " moved and cancelled, and are not held again; if they are meant, raise LEASEHOLD_MAX_SLOT_S.",
    "feeds": "Load the newest feed of these merchants, or drop those who are gone:"
    " leasehold inventory drop.",
    "cluster": "Bring the shard back, or finish the move of the slot: redis-cli --cluster fix.",
    "sentinels": "Bring the Sentinels back; without most of them no failover is followed.",
    "users": "Give every process and command the same LEASEHOLD_USER_KEY_FILE, with the"
    " store's key, and `none` last while bookings without a key may be stored (docs/runbook.md).",
}
"""What to do about each finding that is not ok."""
CURES = {
    Ailment.NO_TTL: "Leasehold writes no such key. Look who did; then: redis-cli DEL <key>",
    Ailment.WRONG_TAG: "No call finds it. Look who wrote it; then: redis-cli DEL <key>",
    Ailment.NO_OWNER: "It blocks its spot until it ends: redis-cli PTTL <key>. To free it now:"
    " redis-cli DEL <key>",
    Ailment.NO_RECORD: "The hold cannot be booked; it ends by itself: redis-cli PTTL <key>. To free"
    " it now: redis-cli DEL <key>",
    Ailment.OTHER_SPOT: "Its owner's record names another spot. Compare: redis-cli GET <key>, and"
    " leasehold lease get. To free it now: redis-cli DEL <key>",
    Ailment.NOT_INDEXED: "The process that made or moved it ended in between. The user's lists lack"
    " it until the caller repeats that request; leasehold forget --thorough finds it.",
    Ailment.LAYOUT_UNKNOWN: "A later release wrote it, and this one neither reads nor changes it."
    " Bring every process and this command to that release.",
}
"""What to do about each kind of key that must not be."""


def doctor(as_json: options.AsJson = False, permissions: Permissions = False) -> None:
    """Look for whatever is wrong with the store and its keys; repairs nothing.

    Works on the store of LEASEHOLD_REDIS_URL, or else on this machine's embedded one.
    Exit code 0: nothing is wrong; 1: something is; 3: no answer.
    """
    if permissions:
        _check_permissions(as_json=as_json)
        return

    async def do(store: Doctor) -> tuple[list[Finding], Examination | None]:
        findings = await store.findings()
        try:
            return findings, await store.examine()
        except StoreUnavailableError:
            return findings, None

    findings, examination = with_store(load_settings(), bootstrap.open_doctor, do)
    ill = [each for each in findings if each.state != "ok"]
    if as_json:
        shown = [
            {**asdict(each), "remedy": REMEDIES[each.name] if each in ill else ""}
            for each in findings
        ]
        print_json({"findings": shown, **_as_json(examination)})
    else:
        _print(findings, examination)
    if examination is None:
        fail("The keys were not looked at: a server of the store gave no answer.", UNAVAILABLE)
    if ill or examination.complaint_count:
        raise typer.Exit(REFUSED)


def _check_permissions(*, as_json: bool) -> None:
    """Show the rules of an access list that the store's user lacks, by server."""
    settings = load_settings()
    lacking = with_store(settings, bootstrap.open_doctor, Doctor.lacking)
    needed = rights.rules(rights.of_keys()) + [f"+{name}" for name in rights.OF_THE_LINK]
    if as_json:
        print_json({"needed": needed, "lacking": lacking})
    else:
        user = store_url.parse(settings.redis_url).username if settings.redis_url else None
        for address, rules in lacking.items():
            if rules:
                out.print(f"{address} lacks {len(rules)} of {len(needed)} rules. To grant them:")
                out.print(f"  ACL SETUSER {user or 'default'} {' '.join(rules)}", soft_wrap=True)
            else:
                out.print(f"{address} grants all {len(needed)} rules that this release needs.")
    if any(lacking.values()):
        raise typer.Exit(REFUSED)


def _as_json(examination: Examination | None) -> dict[str, Any]:
    if examination is None:
        return {}
    complaints = [
        {**asdict(each), "remedy": CURES[each.ailment]} for each in examination.complaints
    ]
    return {**asdict(examination), "complaints": complaints}


def _print(findings: list[Finding], examination: Examination | None) -> None:
    sheet = Sheet("finding", "state", "detail", "remedy")
    for each in findings:
        remedy = "" if each.state == "ok" else REMEDIES[each.name]
        sheet.add_row(each.name, each.state, each.detail, remedy)
    sheet.show()
    if examination is None:
        return
    if examination.complaints:
        sheet = Sheet("wrong", "key", "remedy")
        for complaint in examination.complaints:
            sheet.add_row(complaint.ailment, complaint.key, CURES[complaint.ailment])
        sheet.show()
    more = examination.complaint_count - len(examination.complaints)
    if more:
        out.print(f"and {more:,} more")
    out.print(
        f"Keys: {examination.keys:,}; wrong: {examination.complaint_count:,};"
        f" not Leasehold's: {examination.foreign:,}"
    )
