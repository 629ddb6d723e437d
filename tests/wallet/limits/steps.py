"""Spending, holding and giving back under limits, and what the counters then say."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from tests.world import WorldHolder
from wallet import terms
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, CardId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.proof import prove
from wallet.limits import Channel, LimitSheet, OwnLimits, Rule, Want, open_limits
from wallet.limits.proof import CHECKS
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
Answer = Posted | Declined


class Act(Struct, frozen=True, kw_only=True):
    """One act of a holder: a transfer out of the wallet of its currency, held or posted."""

    holder: WorldHolder
    money: Money
    kind: TransferKind = TransferKind.QR_PAYMENT
    channel: Channel = Channel.APP
    card_id: CardId | None = None
    own: OwnLimits | None = None
    hold_for: timedelta | None = None
    id: TransferId = msgspec.field(default_factory=lambda: TransferId(new_id()))

    def want(self, at: Any = None) -> Want:
        return Want(
            holder_id=self.holder.id,
            money=self.money,
            kind=self.kind,
            channel=self.channel,
            card_id=self.card_id,
            own=self.own,
            at=at,
        )

    def posting(self, credit: Any) -> Posting:
        wallet = self.holder.khr if self.money.currency is Currency.KHR else self.holder.usd
        return Posting(id=self.id, debit=wallet, credit=credit, money=self.money, kind=self.kind)


async def act_in(work: Work, acts: Sequence[Act]) -> list[Answer]:
    """A group of acts in one Work, as rooms do it."""
    shop = {c: await house_account(work, AccountKind.SUSPENSE, c, "shop") for c in Currency}
    postings = [act.posting(shop[act.money.currency]) for act in acts]
    book = await open_book(
        work,
        accounts=[account for p in postings for account in (p.debit, p.credit)],
        ids=[p.id for p in postings],
    )
    limits = await open_limits(work, [act.want() for act in acts])
    answers = [
        limits.move(book, act.want(), posting, act.hold_for)
        for act, posting in zip(acts, postings, strict=True)
    ]
    await limits.write()
    await book.write()
    return answers


async def act(works: Works, *acts: Act) -> list[Answer]:
    return await works.perform(SYSTEM, acts[0].holder.bank, lambda work: act_in(work, acts))


async def resolve(
    works: Works, held: Act, at: Any, captured: Money | None = None, transfer_id: Any = None
) -> Answer:
    """Void a hold made `at`, or capture a part of it."""

    async def run(work: Work) -> Answer:
        book = await open_book(work, accounts=(), holds=[held.id])
        limits = await open_limits(work, [held.want(at)])
        resolution = TransferId(transfer_id or new_id())
        if captured is None:
            answer = limits.void(book, held.want(at), resolution, held.id)
        else:
            answer = limits.capture(book, held.want(at), resolution, held.id, captured)
        await limits.write()
        await book.write()
        return answer

    return await works.perform(SYSTEM, held.holder.bank, run)


async def put_in_force(works: Works, clock: TurnedClock, sort: terms.Sort, sheet: Struct) -> None:
    """The bank's sheet from now on: approved a minute ago, as far as this test goes."""

    async def run(work: Work) -> None:
        body = msgspec.to_builtins(sheet)
        made = await terms.propose(work, sort, body, effective_from=None, by="maker")
        await terms.put_in_force(work, made.id, by="checker")

    await works.perform(SYSTEM, ACLEDA, run)
    clock.advance(terms.LEAD)


async def limit(
    works: Works, clock: TurnedClock, *rules: Rule, riel_per_dollar: int = 4_000
) -> None:
    sheet = LimitSheet(rules=rules, riel_per_dollar=riel_per_dollar)
    await put_in_force(works, clock, terms.Sort.LIMITS, sheet)


def said(answers: Sequence[Answer]) -> list[str]:
    return ["posted" if isinstance(one, Posted) else one.reason.value for one in answers]


async def counters(works: Works) -> dict[tuple[UUID, str, date], tuple[int, int]]:
    """(amount, uses) by (subject, measure, first day)."""

    async def query(work: Work) -> dict[tuple[UUID, str, date], tuple[int, int]]:
        return {
            (row["subject"], row["measure"], row["start"]): (row["amount_minor"], row["uses"])
            for row in await work.rows("select * from limit_counters")
        }

    return await works.read(SYSTEM, None, query)


async def assert_counters_right(works: Works) -> None:
    for finding in await prove(works, CHECKS):
        assert finding.right, f"{finding.check}: {finding.difference}"
