"""Messages that only tell: by SMS, beside the inbox, when the ground of a holder's security moved.

Promise: a durable job wanted in the transaction of the change; sent to the number on record, and to
the former one when the number itself is what changed, so that whoever lost a number or a phone to
somebody else hears of it there. Nothing can be answered, confirmed or undone by these messages.

Who calls: pairings and numbers (wanting), the worker (sending).
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from wallet.access import numbers
from wallet.access.challenges import SmsPort
from wallet.identifiers import BankId, HolderId, Secret
from wallet.vault import Vault
from wallet.work import Actor, Work, Works

PhoneOf = Callable[[Work, HolderId], Awaitable[Secret[str] | None]]


async def send(
    works: Works,
    vault: Vault,
    sms: SmsPort,
    phone_of: PhoneOf,
    actor: Actor,
    payload: dict[str, Any],
) -> None:
    """Send what a job wants told. Safe to run twice: the gateway recognises the reference."""
    holder_id, what = HolderId(UUID(payload["holder_id"])), str(payload["what"])

    async def whom(work: Work) -> list[Secret[str]]:
        now = await phone_of(work, holder_id)
        former = None
        if "change_id" in payload:
            former = await numbers.former(work, vault, UUID(payload["change_id"]))
        return [number for number in (now, former) if number is not None]

    numbers_told = await works.read(actor, BankId(payload["bank"]), whom)
    text = TEXTS[what]["km" if payload["language"] == "km" else "en"]
    for place, number in enumerate(numbers_told):
        await sms.send(to=number.reveal(), text=text, ref=f"{payload['ref']}:{place}")


TEXTS: Final = {
    "device_replaced": {
        "en": "A new phone now signs for your Smart ID. Not you? Call your bank at once.",
        "km": "ទូរស័ព្ទថ្មីបានភ្ជាប់នឹង Smart ID។ បើមិនមែនអ្នក សូមហៅធនាគារភ្លាម។",
    },
    "pin_reset": {
        "en": "The PIN of your Smart ID app was set anew. Not you? Call your bank at once.",
        "km": "PIN នៃ Smart ID បានកំណត់ថ្មី។ បើមិនមែនអ្នក សូមហៅធនាគារភ្លាម។",
    },
    "number_changed": {
        "en": "The telephone number of your Smart ID was changed. Not you? Call your bank at once.",
        "km": "លេខទូរស័ព្ទនៃ Smart ID បានប្តូរ។ បើមិនមែនអ្នក សូមហៅធនាគារភ្លាម។",
    },
}
"""Each within one SMS segment: 160 characters of Latin script, 70 of Khmer."""
