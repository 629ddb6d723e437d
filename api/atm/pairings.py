"""A phone confirmed at an ATM: the bank's host has read the card and checked its PIN.

Promise: the signed request names the Smart ID and the code the phone shows; whose phone it becomes
is decided by the card alone. Who calls: the banks' ATM hosts.
"""

from collections.abc import Awaitable
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, post
from msgspec import Meta, Struct

from api.atm.machine import CardInReader, answered_at, books, standing
from api.resources import Resources
from api.security import AtmCaller
from wallet.access import pairings
from wallet.cards import at_machine
from wallet.outcomes import Outcome
from wallet.registry.states import SmartId
from wallet.work import Work


class ConfirmPairing(CardInReader, frozen=True, kw_only=True):
    """The Smart ID in the machine, and the eight digits the holder entered."""

    code: Annotated[str, Meta(max_length=8, examples=["31415926"])]


class ConfirmedPairing(Struct, frozen=True, kw_only=True):
    pairing_id: str
    state: Annotated[str, Meta(examples=["CONFIRMED"])]


@post("/pairings/confirm", status_code=200, summary="Confirm the phone that shows a code")
async def confirm_pairing(
    data: ConfirmPairing, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> Response[ConfirmedPairing]:
    vault, at = resources.vault, standing(resources, caller, data)

    async def confirm(work: Work) -> Outcome:
        def this(smart_id: SmartId) -> Awaitable[Outcome]:
            return pairings.confirm_at_atm(work, vault, smart_id.holder_id, data.code)

        return await at_machine.served(work, at, "pairing.declined", this, paying=False)

    # A keyed hash for a body: the fingerprint of a card number must not be found by trying.
    body = vault.blind_index("atm.pairing", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        books(resources, caller, data.smart_id_number),
        "pairing.confirm",
        idempotency_key,
        body,
        confirm,
    )
    confirmed: Any = answered_at(outcome)
    return Response(confirmed)


HANDLERS: Final[list[Any]] = [confirm_pairing]
