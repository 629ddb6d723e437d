"""The fee of a card beyond the free ones, taken in the transaction that makes the card usable.

Promise: charged is what the holder signed, neither more nor less; no fee, no book is opened. From
the wallet that funds the card to the bank's fee account of that currency.
Owns no table. Who calls: create, claim.
"""

from collections.abc import Sequence

from msgspec import Struct

from wallet import fees
from wallet.access.intents import Consumed
from wallet.fees import FeeSheet, Function
from wallet.identifiers import AccountId, HolderId, TransferId
from wallet.ledger.book import Book, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.limits import Tier, tiers_of
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import Work


class Prices:
    """What the next card costs each holder, by the bank's fee table of this moment."""

    def __init__(self, sheet: FeeSheet, tiers: dict[HolderId, Tier]) -> None:
        self._sheet = sheet
        self._tiers = tiers

    def next_card(self, holder_id: HolderId, currency: Currency, live: int) -> Money | None:
        """In the card's own currency; None when it is free. `live`: cards held already."""
        tier = self._tiers.get(holder_id, Tier.FULL)
        return fees.decide_fee(self._sheet, Function.CARD, currency, used=live, tier=tier)


async def prices(work: Work, holder_ids: Sequence[HolderId]) -> Prices:
    sheets = await fees.fees_of(work)
    return Prices(sheets.at(work.now), await tiers_of(work, holder_ids))


class Due(Struct, frozen=True, kw_only=True):
    """A consumed intent and the wallet its money, if any, comes from."""

    consumed: Consumed
    account_id: AccountId


class Fees:
    """One group's fees: charged one by one, written once."""

    def __init__(self, book: Book | None, credit: dict[Currency, AccountId]) -> None:
        self._book = book
        self._credit = credit

    def charge(self, due: Due) -> Declined | None:
        """Take the fee the intent names. Declines: as `Book.post`."""
        money = due.consumed.money
        if money is None or self._book is None:
            return None
        posted = self._book.post(
            Posting(
                id=TransferId(due.consumed.intent_id),
                debit=due.account_id,
                credit=self._credit[money.currency],
                money=money,
                kind=TransferKind.CARD_FEE,
            )
        )
        return posted if isinstance(posted, Declined) else None

    async def write(self) -> None:
        if self._book is not None:
            await self._book.write()


async def open_fees(work: Work, dues: Sequence[Due]) -> Fees:
    """Lock the wallets that pay; nothing when nobody does."""
    paying = [due for due in dues if due.consumed.money is not None]
    if not paying:
        return Fees(None, {})
    credit = {
        currency: await house_account(work, AccountKind.FEES, currency, "cards")
        for currency in Currency
        if any(due.consumed.money and due.consumed.money.currency is currency for due in paying)
    }
    book = await open_book(
        work,
        accounts=[*(due.account_id for due in paying), *credit.values()],
        ids=[TransferId(due.consumed.intent_id) for due in paying],
    )
    return Fees(book, credit)
