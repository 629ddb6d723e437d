"""Who leaves the service: reported by their own agency, with what follows for the Smart ID.

Promise: the agency is the officer's own; the officer learns the person's standing and nothing about
cards or money. The Smart ID stops in the same act, its virtual cards with it; salary still lands.
Who calls: agency officers who approve.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body
from wallet.access.members import Permission
from wallet.outcomes import Outcome, Reason, Refused
from wallet.registry import holders, leaving
from wallet.registry.holders import HolderStatus
from wallet.work import Work


class Leaves(Body, frozen=True, kw_only=True):
    """LEFT and RETIRED are for good: the card is handed in. DECEASED stops payments, which the bank
    undoes where the report was a mistake."""

    staff_no: Annotated[str, Meta(pattern="^[0-9]{10}$", examples=["0000000017"])]
    status: Annotated[Literal["LEFT", "RETIRED", "DECEASED"], Meta(examples=["RETIRED"])]
    reason: Annotated[str, Meta(min_length=3, max_length=200, examples=["order 12 of 3 January"])]


class Left(Struct, frozen=True, kw_only=True):
    staff_no: Annotated[str, Meta(examples=["0000000017"])]
    status: Annotated[str, Meta(examples=["RETIRED"])]


@post(
    "/people/leaving",
    status_code=200,
    guards=[with_permission(Permission.LEAVING_REPORT)],
    summary="Report that somebody left the service",
)
async def leaves(
    data: Leaves, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> Left:
    """Told again, nothing more happens. Somebody of another agency is not found."""
    person = await resources.works.read(
        caller.actor, None, lambda work: holders.by_staff_no(work, data.staff_no)
    )
    if person is None or person.agency != caller.agency:
        raise Refused(Reason.NOT_FOUND, field="staff_no")

    async def act(work: Work) -> Outcome:
        return await leaving.report(work, person, HolderStatus(data.status), data.reason)

    outcome, _ = await resources.works.perform_once(
        caller.actor,
        person.bank,
        "holder.leaving",
        idempotency_key,
        msgspec.json.encode(data),
        act,
    )
    return msgspec.convert(answered(outcome), Left)


HANDLERS: Final[list[Any]] = [leaves]
