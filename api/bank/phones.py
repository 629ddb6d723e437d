"""At a branch: a holder's telephone number changed by two clerks, a lost phone taken out by one.

Promise: what gives power needs two people of the holder's own bank, the second proven by a fresh
time code, and holds for exactly the number that was asked for; what takes power away needs one and
a reason. Who calls: bank clerks.
"""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Response, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import Body, StepUp
from wallet.access import devices, numbers
from wallet.access.members import Permission
from wallet.identifiers import Secret
from wallet.outcomes import Done, Outcome
from wallet.registry import smart_ids
from wallet.work import Work


class RequestNumber(Body, frozen=True, kw_only=True):
    """The number on the Smart ID the clerk has seen, and the telephone number to be."""

    smart_id_number: Annotated[str, Meta(min_length=16, max_length=16)]
    phone: Annotated[str, Meta(max_length=16, examples=["+85512345678"])]

    def __repr__(self) -> str:
        return "RequestNumber(***)"


class NumberChange(Struct, frozen=True, kw_only=True):
    """REQUESTED until a second clerk approves, then DONE."""

    change_id: str
    state: Annotated[str, Meta(examples=["REQUESTED"])]


class RevokeDevice(Body, frozen=True, kw_only=True):
    smart_id_number: Annotated[str, Meta(min_length=16, max_length=16)]
    reason: Annotated[str, Meta(min_length=3, max_length=200, examples=["reported lost"])]


class RevokedDevice(Struct, frozen=True, kw_only=True):
    """`revoked` is false when no phone was active."""

    revoked: bool


@post(
    "/phone-number-changes",
    guards=[with_permission(Permission.NUMBER_ASK)],
    summary="Ask that a holder's telephone number be changed",
)
async def request_number(
    data: RequestNumber, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> Response[NumberChange]:
    vault = resources.vault

    async def request(work: Work) -> Outcome:
        smart_id = await smart_ids.valid_by_number(work, vault, data.smart_id_number)
        number = Secret(data.phone)
        directory = resources.directory
        return await numbers.request_by_clerk(work, vault, directory, smart_id.holder_id, number)

    body = vault.blind_index("bank.number", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "number.request", idempotency_key, body, request
    )
    requested: Any = answered(outcome)
    return Response(requested, status_code=201)


@post(
    "/phone-number-changes/{change_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(Permission.NUMBER_APPROVE)],
    summary="Approve a telephone number another clerk asked for",
)
async def approve_number(
    change_id: UUID,
    data: StepUp,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> Response[NumberChange]:
    async def approve(work: Work) -> Outcome:
        code = Secret(data.totp)
        return await numbers.approve_by_clerk(
            work, resources.vault, resources.directory, change_id, code
        )

    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "number.approve", idempotency_key, change_id.bytes, approve
    )
    changed: Any = answered(outcome)
    return Response(changed)


@post(
    "/device-revocations",
    status_code=200,
    guards=[with_permission(Permission.DEVICE_REVOKE)],
    summary="Take a holder's lost phone out of service",
)
async def revoke_device(
    data: RevokeDevice, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> Response[RevokedDevice]:
    vault = resources.vault

    async def revoke(work: Work) -> Outcome:
        smart_id = await smart_ids.valid_by_number(work, vault, data.smart_id_number)
        revoked = await devices.revoke(work, smart_id.holder_id, reason=data.reason)
        return Done(answer={"revoked": revoked})

    body = vault.blind_index("bank.device", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "device.revoke", idempotency_key, body, revoke
    )
    revoked: Any = answered(outcome)
    return Response(revoked)


HANDLERS: Final[list[Any]] = [request_number, approve_number, revoke_device]
