"""Purchases with cards under controls, held in real books, as the authorisations do it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tests.world import WorldHolder
from wallet.controls import Controls, ControlSheet, Merchant, Purchase, open_controls
from wallet.controls.deciding import SetBy, bank_subject
from wallet.controls.proof import CHECKS
from wallet.identifiers import BankId, CardId, HolderId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.proof import prove
from wallet.limits import Channel, OwnLimits
from wallet.limits.proof import CHECKS as LIMITS
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
GROCER = Merchant(id="GROCER01", name="LUCKY MARKET", mcc="5411", country="KH", city="PHNOM PENH")
Answer = Posted | Declined


class Buy(Struct, frozen=True, kw_only=True):
    """A wish to buy: held against the holder's wallet while it stands."""

    holder: WorldHolder
    card_id: CardId
    money: Money
    merchant: Merchant = GROCER
    channel: Channel = Channel.ONLINE
    own: OwnLimits | None = None
    another: bool = True
    id: UUID = msgspec.field(default_factory=new_id)

    def purchase(self, moment: datetime) -> Purchase:
        return Purchase(
            id=self.id,
            card_id=self.card_id,
            holder_id=self.holder.id,
            amount=self.money,
            merchant=self.merchant,
            channel=self.channel,
            moment=moment,
            own=self.own,
            another=self.another,
        )

    def posting(self, credit: Any) -> Posting:
        wallet = self.holder.khr if self.money.currency is Currency.KHR else self.holder.usd
        return Posting(
            id=TransferId(self.id),
            debit=wallet,
            credit=credit,
            money=self.money,
            kind=TransferKind.CARD_PURCHASE,
        )


async def buy_in(work: Work, wishes: Sequence[Buy]) -> list[Answer]:
    """A group of purchases in one Work: decided in turn, held, counted, written."""
    shop = {c: await house_account(work, AccountKind.SUSPENSE, c, "shop") for c in Currency}
    postings = [one.posting(shop[one.money.currency]) for one in wishes]
    book = await open_book(
        work,
        accounts=[account for p in postings for account in (p.debit, p.credit)],
        ids=[p.id for p in postings],
    )
    purchases = [one.purchase(work.now) for one in wishes]
    controls = await open_controls(work, purchases)
    answers: list[Answer] = []
    for purchase, posting in zip(purchases, postings, strict=True):
        answer: Answer | None = controls.decide(purchase)
        if answer is None:
            answer = book.hold(posting, timedelta(days=7))
            if isinstance(answer, Posted):
                controls.count(purchase)
        answers.append(answer)
    await controls.write()
    await book.write()
    return answers


async def buy(works: Works, *wishes: Buy) -> list[Answer]:
    return await works.perform(SYSTEM, wishes[0].holder.bank, lambda work: buy_in(work, wishes))


async def give_back(works: Works, held: Buy, moment: datetime, kept: Money | None = None) -> Answer:
    """Void a hold made at `moment`, or capture what is kept of it."""

    async def run(work: Work) -> Answer:
        book = await open_book(work, accounts=(), holds=[TransferId(held.id)])
        purchase = held.purchase(moment)
        controls = await open_controls(work, [], given_back=[purchase])
        if kept is None:
            answer = book.void(TransferId(new_id()), TransferId(held.id))
        else:
            answer = book.capture(TransferId(new_id()), TransferId(held.id), kept.minor)
        if isinstance(answer, Posted) and not answer.repeated:
            controls.give_back(purchase, kept)
        await controls.write()
        await book.write()
        return answer

    return await works.perform(SYSTEM, held.holder.bank, run)


async def asked(works: Works, wish: Buy) -> Controls:
    """What the controls say of a purchase, without its taking place."""

    async def run(work: Work) -> Controls:
        return await open_controls(work, [wish.purchase(work.now)])

    return await works.perform(SYSTEM, wish.holder.bank, run)


async def put(
    works: Works,
    by: SetBy,
    subject: UUID,
    sheet: ControlSheet,
    state: str = "LIVE",
    bank: BankId = ACLEDA,
) -> UUID:
    """A sheet in force, or in shadow, at once: what these tests are about begins there."""
    sheet_id = new_id()

    async def run(work: Work) -> None:
        became = "PAST" if state == "LIVE" else "WITHDRAWN"
        await work.execute(
            f"update control_sheets set state = '{became}', ended_at = now() "
            "where subject = $1 and state = $2",
            subject,
            state,
        )
        version = await work.value(
            "select coalesce(max(version), 0) + 1 from control_sheets where subject = $1", subject
        )
        live = state == "LIVE"
        await work.execute(
            """
            insert into control_sheets (id, bank, set_by, subject, holder_id, version, body, state,
                drafted_at, drafted_by, shadowed_at, promoted_at, promoted_by)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'maker', $10, $11, $12)
            """,
            sheet_id,
            work.bank,
            by.value,
            subject,
            None if by is SetBy.BANK else subject,
            version,
            msgspec.json.encode(sheet).decode(),
            state,
            work.now,
            None if live else work.now,
            work.now if live else None,
            "checker" if live else None,
        )

    await works.perform(SYSTEM, bank, run)
    return sheet_id


async def put_bank(works: Works, sheet: ControlSheet, state: str = "LIVE") -> UUID:
    return await put(works, SetBy.BANK, bank_subject(ACLEDA), sheet, state)


async def put_holder(works: Works, holder_id: HolderId, sheet: ControlSheet) -> UUID:
    return await put(works, SetBy.HOLDER, holder_id, sheet)


async def put_card(works: Works, card_id: CardId, sheet: ControlSheet) -> UUID:
    return await put(works, SetBy.CARD, card_id, sheet)


def said(answers: Sequence[Answer]) -> list[str]:
    return ["held" if isinstance(one, Posted) else one.reason.value for one in answers]


def later(wish: Buy, **changes: Any) -> Buy:
    """The same wish as another purchase."""
    return replace(wish, id=new_id(), **changes)


async def assert_counters_right(works: Works) -> None:
    """The counters say what the journal says, and what was decided."""
    for finding in await prove(works, (*LIMITS, *CHECKS)):
        assert finding.right, f"{finding.check}: {finding.difference}"
