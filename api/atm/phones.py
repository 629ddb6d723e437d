"""At an ATM, by card and PIN: a holder's telephone number changed, a lost phone taken out.

Promise: the signed request names the Smart ID in the machine; whose number and phone it is about is
decided by the card alone. Who calls: the banks' ATM hosts.
"""

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, post
from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import AtmCaller
from api.wire import Body
from wallet.access import devices, numbers
from wallet.identifiers import Secret
from wallet.outcomes import Done, Outcome
from wallet.registry import smart_ids
from wallet.work import Work


class ChangeNumber(Body, frozen=True, kw_only=True):
    smart_id_number: Annotated[str, Meta(min_length=16, max_length=16)]
    phone: Annotated[str, Meta(max_length=16, examples=["+85512345678"])]

    def __repr__(self) -> str:
        return "ChangeNumber(***)"


class ChangedNumber(Struct, frozen=True, kw_only=True):
    change_id: str
    state: Annotated[str, Meta(examples=["DONE"])]


class LostPhone(Body, frozen=True, kw_only=True):
    smart_id_number: Annotated[str, Meta(min_length=16, max_length=16)]


class RemovedPhone(Struct, frozen=True, kw_only=True):
    """`revoked` is false when no phone was active."""

    revoked: bool


@post("/phone-numbers", status_code=200, summary="Change the holder's telephone number")
async def change_number(
    data: ChangeNumber, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Response[ChangedNumber]:
    vault = resources.vault

    async def change(work: Work) -> Outcome:
        smart_id = await smart_ids.valid_by_number(work, vault, data.smart_id_number)
        directory, number = resources.directory, Secret(data.phone)
        return await numbers.change_at_atm(work, vault, directory, smart_id.holder_id, number)

    body = vault.blind_index("atm.number", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "number.change", idempotency_key, body, change
    )
    changed: Any = answered(outcome)
    return Response(changed)


@post("/device-revocations", status_code=200, summary="Take the holder's lost phone out of service")
async def revoke_device(
    data: LostPhone, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Response[RemovedPhone]:
    vault = resources.vault

    async def revoke(work: Work) -> Outcome:
        smart_id = await smart_ids.valid_by_number(work, vault, data.smart_id_number)
        revoked = await devices.revoke(work, smart_id.holder_id, reason="card and PIN")
        return Done(answer={"revoked": revoked})

    body = vault.blind_index("atm.device", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor, caller.bank, "device.revoke", idempotency_key, body, revoke
    )
    revoked: Any = answered(outcome)
    return Response(revoked)


HANDLERS: Final[list[Any]] = [change_number, revoke_device]
