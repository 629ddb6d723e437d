"""At an ATM, by card and PIN: a holder's telephone number changed, a lost phone taken out.

Promise: the signed request names the Smart ID in the machine; whose number and phone it is about is
decided by the card alone. Who calls: the banks' ATM hosts.
"""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, post
from msgspec import Meta, Struct

from api.atm.machine import CardInReader, answered_at, books, standing
from api.resources import Resources
from api.security import AtmCaller
from wallet.access import devices, numbers
from wallet.cards import at_machine
from wallet.identifiers import Secret
from wallet.outcomes import Done, Outcome
from wallet.registry.states import SmartId
from wallet.work import Work


class ChangeNumber(CardInReader, frozen=True, kw_only=True):
    phone: Annotated[str, Meta(max_length=16, examples=["+85512345678"])]


class ChangedNumber(Struct, frozen=True, kw_only=True):
    change_id: str
    state: Annotated[str, Meta(examples=["DONE"])]


class RemovedPhone(Struct, frozen=True, kw_only=True):
    """`revoked` is false when no phone was active."""

    revoked: bool


@post("/phone-numbers", status_code=200, summary="Change the holder's telephone number")
async def change_number(
    data: ChangeNumber, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Response[ChangedNumber]:
    vault, at = resources.vault, standing(resources, caller, data)

    async def change(work: Work) -> Outcome:
        def this(smart_id: SmartId) -> Awaitable[Outcome]:
            directory, number = resources.directory, Secret(data.phone)
            return numbers.change_at_atm(work, vault, directory, smart_id.holder_id, number)

        return await at_machine.served(work, at, "number.declined", this, paying=False)

    body = vault.blind_index("atm.number", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        books(resources, caller, data.smart_id_number),
        "number.change",
        idempotency_key,
        body,
        change,
    )
    changed: Any = answered_at(outcome)
    return Response(changed)


@post("/device-revocations", status_code=200, summary="Take the holder's lost phone out of service")
async def revoke_device(
    data: CardInReader, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Response[RemovedPhone]:
    vault, at = resources.vault, standing(resources, caller, data)

    async def revoke(work: Work) -> Outcome:
        async def this(smart_id: SmartId) -> Outcome:
            revoked = await devices.revoke(work, smart_id.holder_id, reason="card and PIN")
            return Done(answer={"revoked": revoked})

        return await at_machine.served(work, at, "device.revoke_declined", this, paying=False)

    body = vault.blind_index("atm.device", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        books(resources, caller, data.smart_id_number),
        "device.revoke",
        idempotency_key,
        body,
        revoke,
    )
    revoked: Any = answered_at(outcome)
    return Response(revoked)


HANDLERS: Final[list[Any]] = [change_number, revoke_device]
