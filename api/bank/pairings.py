"""A phone confirmed at a branch: one clerk asks, another approves.

Promise: maker and checker are two people of the holder's own bank, the checker proven by a fresh
time code; what is approved is this phone's key for this holder. Who calls: bank clerks.
"""

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body, StepUp
from wallet.access import pairings
from wallet.access.members import Permission
from wallet.identifiers import PairingId, Secret
from wallet.outcomes import Declined, Done, Outcome
from wallet.registry import smart_ids
from wallet.work import Work


class RequestPairing(Body, frozen=True, kw_only=True):
    """The number on the Smart ID the clerk has seen, and the code on the holder's phone."""

    smart_id_number: Annotated[str, Meta(min_length=16, max_length=16)]
    code: Annotated[str, Meta(max_length=8, examples=["31415926"])]


class RequestedPairing(Struct, frozen=True, kw_only=True):
    pairing_id: str
    state: Annotated[str, Meta(examples=["REQUESTED"])]


@post(
    "/pairing-requests",
    guards=[with_permission(Permission.PAIRING_ASK)],
    summary="Ask that a phone be confirmed as a holder's",
)
async def request_pairing(
    data: RequestPairing, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> Response[RequestedPairing]:
    vault = resources.vault

    async def request(work: Work) -> Outcome:
        smart_id = await smart_ids.valid_by_number(work, vault, data.smart_id_number)
        approval = await pairings.request_by_clerk(work, vault, smart_id.holder_id, data.code)
        if isinstance(approval, Declined):
            return approval
        return Done(answer={"pairing_id": approval.subject, "state": "REQUESTED"})

    body = vault.blind_index("bank.pairing", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "pairing.request", idempotency_key, body, request
    )
    requested: Any = answered(outcome)
    return Response(requested, status_code=201)


@post(
    "/pairing-requests/{pairing_id:uuid}/approve",
    guards=[with_permission(Permission.PAIRING_APPROVE)],
    status_code=200,
    summary="Approve a phone another clerk asked for",
)
async def approve_pairing(
    pairing_id: PairingId,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> Response[RequestedPairing]:
    async def approve(work: Work) -> Outcome:
        code = Secret(data.totp)
        return await pairings.approve_by_clerk(work, resources.vault, pairing_id, code)

    outcome, _ = await resources.works.perform_once(
        caller.actor,
        caller.bank,
        "pairing.approve",
        idempotency_key,
        pairing_id.bytes,
        approve,
    )
    confirmed: Any = answered(outcome)
    return Response(confirmed)


HANDLERS: Final[list[Any]] = [request_pairing, approve_pairing]
