"""Showing a code to be paid with: a remittance KHQR to one's own wallet.

The code names the bank's settlement account and, behind it, the wallet's number: every Cambodian
bank can pay it, and we know it again as one of ours.
"""

from datetime import timedelta
from typing import Final

from wallet import khqr
from wallet.identifiers import HolderId, new_id
from wallet.khqr import Draft, Form, SdkError
from wallet.ledger.chart import wallets_of_holder
from wallet.money import Currency, Money
from wallet.outcomes import Reason, Refused
from wallet.qr.scanning import milliseconds
from wallet.registry import banks, holders
from wallet.work import Work

LIFE: Final = timedelta(minutes=10)
"""A code with an amount lives at most this long (NBC's QR payment integration guide)."""


async def pay_me(
    work: Work, holder_id: HolderId, currency: Currency, amount: Money | None = None
) -> str:
    """The text of a code that pays into the holder's wallet; without `amount` it is static.

    Refuses: NOT_FOUND, WALLET_CURRENCY_MISSING, AMOUNT_INVALID.
    """
    holder = await holders.by_id(work, holder_id)
    if holder is None:
        raise Refused(Reason.NOT_FOUND)
    held = {wallet.currency: wallet for wallet in await wallets_of_holder(work, holder_id)}
    if currency not in held:
        raise Refused(Reason.WALLET_CURRENCY_MISSING, currency=currency.value)
    bank = banks.named(holder.bank)
    draft = Draft(
        form=Form.INDIVIDUAL,
        account=bank.settlement_khqr_id,
        detail=held[currency].number,
        bank=bank.name_en,
        name=_fitting(holder.name_latin),
        currency=currency.numeric,
        amount=None if amount is None else amount.decimal(),
        expires_ms=milliseconds(work.now + LIFE),
        # Two codes of one content and millisecond would share their MD5: the bill parts them.
        bill=None if amount is None else new_id().hex[-12:].upper(),
    )
    text = khqr.write(draft, milliseconds(work.now))
    if isinstance(text, SdkError):
        raise Refused(Reason.AMOUNT_INVALID, sdk_error=int(text))
    return text


def _fitting(name: str) -> str:
    """A name within the code's 25 characters: whole words as far as they go."""
    if len(name) <= 25:
        return name
    words = name[:26].rsplit(" ", 1)
    return words[0][:25]
