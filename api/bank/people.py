"""What the clerk's own bank holds on one person, given out whole.

Promise: the bank's own person or nobody; the person sees in their feed that it was asked for.
Who calls: a bank's officer answering a person's request.
"""

from typing import Any, Final
from uuid import UUID

from litestar import get

from api.bank.funnel import own
from api.resources import Resources
from api.security import StaffCaller, with_permission
from wallet import disclosure
from wallet.access.members import Permission
from wallet.disclosure import Held
from wallet.identifiers import HolderId


@get(
    "/people/{holder_id:uuid}/export",
    guards=[with_permission(Permission.PERSON_EXPORT)],
    summary="What your bank holds on a person",
)
async def export(holder_id: UUID, caller: StaffCaller, resources: Resources) -> Held:
    bank = own(caller)
    return await resources.works.perform(
        caller.actor,
        bank,
        lambda work: disclosure.held_by_own_bank(work, bank, HolderId(holder_id)),
    )


HANDLERS: Final[list[Any]] = [export]
