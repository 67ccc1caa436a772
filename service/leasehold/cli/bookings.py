"""``leasehold check``, ``book``, ``cancel`` and ``bookings``."""

from datetime import tzinfo
from typing import Annotated

import typer

from leasehold.cli import options
from leasehold.cli.calling import add_slot, ask_partners, granted, show_place
from leasehold.cli.console import out, print_json
from leasehold.cli.sheet import Sheet, details, show_answer
from leasehold.client import Booked, Person
from leasehold.client.rendering import booking_json, count_json

User = Annotated[str, typer.Option(help="User id.")]


def check(
    merchant: options.Merchant,
    service: options.Service,
    start: options.Start,
    duration: options.Duration,
    staff: options.Staff = "",
    room: options.Room = "",
    party_size: options.PartySize = 0,
    as_json: options.AsJson = False,
    address: options.Address = options.DEFAULT_ADDRESS,
) -> None:
    """Count the free spots of a slot: CheckAvailability.

    Exit code 0: there is an answer; 2: the request is at fault; 3: no answer.
    """
    slot = options.slot_of(merchant, service, start, duration, staff, room, party_size)
    count = ask_partners(address, lambda client: client.check_availability(slot))
    if as_json:
        print_json(count_json(slot, count))
    else:
        out.print(f"Free spots: {count}")


def book(
    merchant: options.Merchant,
    service: options.Service,
    start: options.Start,
    duration: options.Duration,
    user: User,
    given_name: Annotated[str, typer.Option(help="Given name.")],
    family_name: Annotated[str, typer.Option(help="Family name.")],
    telephone: Annotated[str, typer.Option(help="Telephone number.")],
    email: Annotated[str, typer.Option(help="E-mail address.")],
    lease: Annotated[str, typer.Option(help="The lease to consume. Default: book directly.")] = "",
    staff: options.Staff = "",
    room: options.Room = "",
    party_size: options.PartySize = 0,
    token: Annotated[
        str,
        typer.Option(help="Names this booking: the same one finds it again. Default: a new one."),
    ] = "",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.Address = options.DEFAULT_ADDRESS,
) -> None:
    """Book a slot, by a lease or directly: CreateBooking.

    Exit code 0: booked; 1: refused; 2: the request is at fault; 3: no answer.
    """
    slot = options.slot_of(merchant, service, start, duration, staff, room, party_size)
    person = Person(user, given_name, family_name, telephone, email)
    answer = ask_partners(
        address,
        lambda client: client.create_booking(slot, person, lease_id=lease, token=token),
    )
    _print_booking("Booked", granted(answer, "Not booked"), zone, as_json=as_json, quiet=quiet)


def cancel(
    booking: Annotated[str, typer.Option(help="Booking id.")],
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.Address = options.DEFAULT_ADDRESS,
) -> None:
    """Cancel a booking: UpdateBooking.

    Exit code 0: cancelled; 1: refused; 2: the request is at fault; 3: no answer.
    """
    answer = ask_partners(address, lambda client: client.cancel_booking(booking))
    _print_booking(
        "Cancelled", granted(answer, "Not cancelled"), zone, as_json=as_json, quiet=quiet
    )


def bookings(
    user: User,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    zone: options.Zone = options.DEFAULT_ZONE,
    address: options.Address = options.DEFAULT_ADDRESS,
) -> None:
    """List a user's future bookings that stand, the soonest 1,000: ListBookings.

    Exit code 0: there is an answer; 2: the user is unknown; 3: no answer.
    """
    found = ask_partners(address, lambda client: client.list_bookings(user))
    sheet = Sheet(("booking", "slot"), "state", zone=zone)
    for each in found:
        sheet.add_row((each.booking_id, show_place(each.slot, zone)), each.status.name)
    ids, shown = [each.booking_id for each in found], [booking_json(each) for each in found]
    show_answer(sheet, shown, ids, as_json=as_json, quiet=quiet)


def _print_booking(title: str, booked: Booked, zone: tzinfo, *, as_json: bool, quiet: bool) -> None:
    sheet = details(title, zone)
    sheet.add_row("booking", booked.booking_id)
    add_slot(sheet, booked.slot)
    sheet.add_row("state", booked.status.name)
    ids = [booked.booking_id]
    show_answer(sheet, booking_json(booked), ids, as_json=as_json, quiet=quiet)
