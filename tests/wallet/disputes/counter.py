"""The counter for disputes: one holder who has paid, agents who may refund, and the books."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from tests import world
from tests.desk import Desk
from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.disputes import cases, closing, proof, refunds
from wallet.disputes.cases import Case, Cause
from wallet.disputes.refunds import Source, Wish
from wallet.identifiers import (
    AccountId,
    ApprovalId,
    BankId,
    DisputeId,
    RefundId,
    Secret,
    TransferId,
    new_id,
)
from wallet.ledger import proof as books
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.proof import prove
from wallet.ledger.statement import balances
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Refused
from wallet.work import SYSTEM, Work

T = TypeVar("T")
BANK = BankId("ACLEDA")
THRESHOLD = Money.khr(400_000)
STAFF = ("dara", "bopha")


class Counter:
    """`holder` starts with 2,000,000 riel; `dara` is an agent, `bopha` a supervisor as well."""

    def __init__(self, desk: Desk, holder: world.WorldHolder, other: world.WorldHolder) -> None:
        self.desk = desk
        self.works = desk.works
        self.holder = holder
        self.other = other

    async def by(self, login: str, act: Callable[[Work], Awaitable[T]]) -> T:
        """A member of staff acts in the bank's books."""
        return await self.works.perform(self.desk.member(login).actor, BANK, act)

    async def read(self, query: Callable[[Work], Awaitable[T]]) -> T:
        return await self.works.read(SYSTEM, None, query)

    async def paid(
        self, riel: int, *, credit: AccountId | None = None, kind: str = "qr_payment"
    ) -> TransferId:
        """The holder pays a shop (or `credit`); answers the transaction."""

        async def act(work: Work) -> TransferId:
            to = credit or await house_account(
                work, AccountKind.MERCHANT_SETTLEMENT, Currency.KHR, "khqr"
            )
            posting = self._posting(riel, self.holder.khr, to, TransferKind(kind))
            book = await open_book(work, accounts=[posting.debit, posting.credit])
            assert isinstance(book.post(posting), Posted)
            await book.write()
            return posting.id

        return await self.works.perform(SYSTEM, BANK, act)

    async def topped_up(self, riel: int, *, capture: bool = True) -> tuple[TransferId, TransferId]:
        """A top-up in the books: a hold, captured unless told otherwise; answers both ids."""

        async def act(work: Work) -> TransferId:
            float_ = await self._float(work)
            posting = self._posting(riel, self.holder.khr, float_, TransferKind.TOPUP)
            book = await open_book(work, accounts=[posting.debit, posting.credit])
            assert isinstance(book.hold(posting, timedelta(hours=72)), Posted)
            await book.write()
            return posting.id

        hold = await self.works.perform(SYSTEM, BANK, act)
        captured = TransferId(new_id())

        async def resolve(work: Work) -> None:
            book = await open_book(work, accounts=[], holds=[hold])
            assert isinstance(book.capture(captured, hold), Posted)
            await book.write()

        if capture:
            await self.works.perform(SYSTEM, BANK, resolve)
        return hold, captured

    async def taken_back(self, hold: TransferId, riel: int) -> None:
        """The operator takes the top-up back, and the holder has the money again."""

        async def act(work: Work) -> None:
            float_ = await self._float(work)
            posting = Posting(
                id=TransferId(new_id()),
                debit=float_,
                credit=self.holder.khr,
                money=Money.khr(riel),
                kind=TransferKind.TOPUP_RETURN,
                reference=hold,
            )
            book = await open_book(work, accounts=[posting.debit, posting.credit])
            assert isinstance(book.post(posting), Posted)
            await book.write()

        await self.works.perform(SYSTEM, BANK, act)

    async def dispute(
        self,
        transfer_id: TransferId,
        cause: Cause = Cause.DUPLICATE_CHARGE,
        *,
        holder: world.WorldHolder | None = None,
        statement: str = "Charged twice.",
    ) -> dict[str, Any]:
        who = holder or self.holder
        outcome = await self.works.perform(
            SYSTEM, who.bank, lambda w: cases.open_case(w, who.id, transfer_id, cause, statement)
        )
        assert isinstance(outcome, Done)
        return outcome.answer

    async def case_of(self, riel: int, **paying: Any) -> DisputeId:
        """An open case about a payment of `riel`."""
        opened = await self.dispute(await self.paid(riel, **paying))
        return DisputeId(UUID(opened["dispute_id"]))

    async def case(self, case_id: DisputeId) -> Case:
        return await self.read(lambda work: cases.find(work, case_id))

    async def refund(
        self,
        case_id: DisputeId,
        riel: int,
        *,
        source: Source = Source.COUNTERPARTY,
        login: str = "dara",
        why: str = "The shop confirms it.",
    ) -> dict[str, Any]:
        outcome = await self.by(
            login,
            lambda work: refunds.ask(
                work,
                Wish(
                    case_id=case_id,
                    money=Money.khr(riel),
                    source=source,
                    why=why,
                    threshold=THRESHOLD,
                ),
            ),
        )
        assert isinstance(outcome, Done)
        return outcome.answer

    async def approve(
        self, refund_id: str, *, login: str = "bopha", code: str | None = None
    ) -> Outcome:
        """A fresh code each time: half a minute passes first."""
        if code is None:
            self.desk.works.clock.advance(timedelta(seconds=30))  # type: ignore[attr-defined]
        secret = Secret(self.desk.code() if code is None else code)

        async def second(
            work: Work, approval_id: ApprovalId, payload: bytes
        ) -> Approval | Declined:
            return await approvals.approve(
                work,
                self.desk.vault,
                approval_id,
                act=refunds.ACT,
                payload_hash=payload,
                code=secret,
                permission=refunds.APPROVER,
            )

        return await self.by(
            login, lambda work: refunds.approve(work, RefundId(UUID(refund_id)), second)
        )

    async def close(self, case_id: DisputeId, *, withdrawn: bool = False) -> dict[str, Any]:
        outcome = await self.by(
            "dara", lambda work: closing.close(work, case_id, "Looked into.", withdrawn=withdrawn)
        )
        assert isinstance(outcome, Done)
        return outcome.answer

    async def wallet(self) -> int:
        """What the holder can spend, in riel."""
        found = await self.read(lambda work: balances(work, [self.holder.khr]))
        return found[self.holder.khr].available.minor

    async def house(self, kind: AccountKind, detail: str = "") -> int:
        """Credits less debits of a riel account of the bank's own."""

        async def act(work: Work) -> int:
            account = await house_account(work, kind, Currency.KHR, detail)
            return (await balances(work, [account]))[account].posted.minor

        return await self.works.perform(SYSTEM, BANK, act)

    async def events(self, case_id: DisputeId) -> list[str]:
        async def query(work: Work) -> list[str]:
            rows = await work.rows(
                "select kind || ' ' || what as told from dispute_events"
                " where dispute_id = $1 order by seq",
                case_id,
            )
            return [row["told"] for row in rows]

        return await self.read(query)

    async def states(self, case_id: DisputeId) -> list[str]:
        """The states of a case's refunds, oldest first."""
        found = await self.read(lambda work: refunds.of_case(work, case_id))
        return [refund.state.value for refund in found]

    async def _float(self, work: Work) -> AccountId:
        return await house_account(work, AccountKind.OPERATOR_FLOAT, Currency.KHR, "SMART")

    def _posting(
        self, riel: int, debit: AccountId, credit: AccountId, kind: TransferKind
    ) -> Posting:
        money = Money.khr(riel)
        return Posting(id=TransferId(new_id()), debit=debit, credit=credit, money=money, kind=kind)


async def outcome_or_refusal(act: Awaitable[T]) -> T | Refused:
    try:
        return await act
    except Refused as refused:
        return refused


@contextlib.asynccontextmanager
async def opened(desk: Desk) -> AsyncIterator[Counter]:
    """The counter, and afterwards the books: right, with each case's liability adding up."""
    for login in STAFF:
        await desk.enrol(login)
    holder, other = await world.people(desk.works, 2, khr=2_000_000)
    yield Counter(desk, holder, other)
    for finding in await prove(desk.works, [*books.CHECKS, *proof.CHECKS]):
        assert finding.right, f"{finding.check}: {finding.difference}"
