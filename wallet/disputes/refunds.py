"""Refunds: money back by a new ledger entry, by one person or, above the threshold, by two.

Promise: a refund never exceeds what remains of its case; the entry, the case's liability and the
audit row commit together; the maker is never the checker (a constraint as well); asked or
approved twice it is paid once.

    (asked, up to the threshold)  -> PAID
    (asked, above it) -> REQUESTED --another member, fresh code--> PAID
                                   --24 hours, or no longer covered--> LAPSED

Money comes from the house account the transaction went to (COUNTERPARTY: recovered) or from the
bank's own loss account (BANK: written off).

Tables owned: refunds. Who calls: support door.
"""

import enum
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.staff import Role
from wallet.disputes import cases
from wallet.disputes.cases import Case, CaseState
from wallet.events import DisputeRefunded
from wallet.identifiers import (
    AccountId,
    ApprovalId,
    DisputeId,
    RefundId,
    StaffId,
    TransferId,
    new_id,
)
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import Work

ACT: Final = "dispute.refund"

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The checker's approval of this payload, proved with a fresh code."""


class Source(enum.StrEnum):
    COUNTERPARTY = "COUNTERPARTY"
    BANK = "BANK"


class Wish(Struct, frozen=True, kw_only=True):
    """What an agent asks for. `threshold`: above it, two persons."""

    case_id: DisputeId
    money: Money
    source: Source
    why: str
    threshold: Money


class Refund(Struct, frozen=True, kw_only=True):
    id: RefundId
    dispute_id: DisputeId
    amount_minor: int
    source: Source
    why: str
    state: str
    maker: StaffId
    checker: StaffId | None
    approval_id: ApprovalId | None
    at: datetime

    @property
    def payload_hash(self) -> bytes:
        """What the second person approves: the money, its source and its case."""
        return approvals.hash_of(
            [str(self.id), str(self.dispute_id), self.amount_minor, self.source.value]
        )


async def ask(work: Work, wish: Wish, maker: StaffId) -> Outcome:
    """Give money back at once, or ask a second person when above the threshold.

    Refuses: not_found, dispute_closed, refund_exceeds, currency_unsupported, conflict (the
    transaction did not go to a house account, or another refund of the case waits), forbidden.
    """
    case = await cases.locked(work, wish.case_id)
    _decide(case, wish.money)
    if await work.value(_ANY_WAITING, case.id):
        raise Refused(Reason.CONFLICT)
    refund = Refund(
        id=RefundId(new_id()),
        dispute_id=case.id,
        amount_minor=wish.money.minor,
        source=wish.source,
        why=wish.why,
        state="REQUESTED",
        maker=maker,
        checker=None,
        approval_id=None,
        at=work.now,
    )
    debit, credit = await _accounts(work, case, wish.source)
    two_persons = wish.money > wish.threshold
    approval_id: ApprovalId | None = None
    if two_persons:
        approval = await approvals.request(
            work, ACT, str(refund.id), refund.payload_hash, role=Role.AGENT
        )
        approval_id = approval.id
    await work.execute(
        _ADD,
        refund.id,
        case.bank,
        case.id,
        refund.amount_minor,
        refund.source.value,
        refund.why,
        maker,
        approval_id,
        work.now,
    )
    if not two_persons:
        return await _pay(work, case, refund, None, debit, credit)
    await cases.record(
        work,
        case.bank,
        case.id,
        "FINANCIAL",
        "REFUND_REQUESTED",
        amount_minor=refund.amount_minor,
        detail=refund.why,
    )
    return Done(answer=_answer(case, refund, "REQUESTED"))


async def approve(
    work: Work, refund_id: RefundId, checker: StaffId, second: SecondPerson
) -> Outcome:
    """Approve, as another member of staff, and pay in the same Work.

    Declines: otp_wrong, locked, approval_expired (the refund lapses).
    Refuses: not_found, illegal_transition, four_eyes, forbidden, dispute_closed, refund_exceeds.
    """
    # The case is always locked before its refunds, here as in `ask`.
    case_id = await work.value(_CASE_OF, refund_id)
    if case_id is None:
        raise Refused(Reason.NOT_FOUND)
    case = await cases.locked(work, DisputeId(case_id))
    refund = await work.struct(Refund, _LOCK, refund_id)
    if refund is None or refund.approval_id is None:
        raise Refused(Reason.NOT_FOUND)
    if refund.state != "REQUESTED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state=refund.state)
    if refund.maker == checker:
        raise Refused(Reason.FOUR_EYES)
    _decide(case, Money(refund.amount_minor, case.currency))
    approved = await second(work, refund.approval_id, refund.payload_hash)
    if isinstance(approved, Declined):
        if approved.reason is Reason.APPROVAL_EXPIRED:
            await work.execute(_LAPSE, refund.id)
        return approved
    spent = await approvals.execute(
        work, refund.approval_id, act=ACT, payload_hash=refund.payload_hash
    )
    if isinstance(spent, Declined):
        return spent
    debit, credit = await _accounts(work, case, refund.source)
    return await _pay(work, case, refund, checker, debit, credit)


async def of_case(work: Work, case_id: DisputeId) -> list[Refund]:
    """The refunds of a case, oldest first."""
    return await work.structs(Refund, f"{_REFUND} where dispute_id = $1 order by at, id", case_id)


async def bank_of(work: Work, refund_id: RefundId) -> str:
    """The bank whose books a refund is paid in. Refuses: not_found."""
    bank: str | None = await work.value("select bank from refunds where id = $1", refund_id)
    if bank is None:
        raise Refused(Reason.NOT_FOUND)
    return bank


async def _pay(
    work: Work,
    case: Case,
    refund: Refund,
    checker: StaffId | None,
    debit: AccountId,
    credit: AccountId,
) -> Outcome:
    money = Money(refund.amount_minor, case.currency)
    transfer_id = TransferId(refund.id)
    book = await open_book(work, accounts=[debit, credit], ids=[transfer_id])
    answer = book.post(
        Posting(
            id=transfer_id,
            debit=debit,
            credit=credit,
            money=money,
            kind=TransferKind.REFUND,
            reference=case.transfer_id,
        )
    )
    if not isinstance(answer, Posted):
        raise Refused(answer.reason)
    await book.write()
    await work.execute(_PAID, refund.id, transfer_id, checker, work.now)
    await cases.count_given_back(
        work, case, refund.amount_minor, recovered=refund.source is Source.COUNTERPARTY
    )
    await cases.record(
        work,
        case.bank,
        case.id,
        "FINANCIAL",
        "REFUND_PAID",
        amount_minor=refund.amount_minor,
        detail=f"{refund.source.value}: {refund.why}",
    )
    work.note(
        ACT,
        str(refund.id),
        holder_id=case.holder_id,
        case_number=case.case_number,
        reason=refund.why,
    )
    work.emit(
        DisputeRefunded(
            holder_id=case.holder_id,
            dispute_id=str(case.id),
            case_number=case.case_number,
            money=money,
        )
    )
    return Done(answer=_answer(case, refund, "PAID"))


async def _accounts(work: Work, case: Case, source: Source) -> tuple[AccountId, AccountId]:
    """Where the money comes from and the wallet it goes back to."""
    row = await work.row(_WENT, case.transfer_id)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    wallet = AccountId(row["debit_account_id"])
    if source is Source.BANK:
        loss = await house_account(work, AccountKind.DISPUTE_LOSS, Currency(case.currency))
        return loss, wallet
    if not row["to_house"]:
        # Another person's wallet: they may have spent it; that is a recovery, not a refund.
        raise Refused(Reason.CONFLICT)
    return AccountId(row["credit_account_id"]), wallet


def _decide(case: Case, money: Money) -> None:
    if case.state is CaseState.CLOSED:
        raise Refused(Reason.DISPUTE_CLOSED)
    if money.currency is not case.currency:
        raise Refused(Reason.CURRENCY_UNSUPPORTED)
    if money > case.remaining:
        raise Refused(Reason.REFUND_EXCEEDS, remaining_minor=case.remaining_minor)


def _answer(case: Case, refund: Refund, state: str) -> dict[str, str | int]:
    return {
        "refund_id": str(refund.id),
        "dispute_id": str(case.id),
        "state": state,
        "amount_minor": refund.amount_minor,
        "currency": case.currency.value,
    }


_REFUND = """
select id, dispute_id, amount_minor, source, why, state, maker, checker, approval_id, at
from refunds
"""

_LOCK = f"{_REFUND} where id = $1 for update"

_CASE_OF = "select dispute_id from refunds where id = $1"

_ANY_WAITING = """
select exists (select 1 from refunds where dispute_id = $1 and state = 'REQUESTED')
"""

_ADD = """
insert into refunds (id, bank, dispute_id, amount_minor, source, why, state, maker, approval_id, at)
values ($1, $2, $3, $4, $5, $6, 'REQUESTED', $7, $8, $9)
"""

_PAID = """
update refunds set state = 'PAID', transfer_id = $2, checker = $3, paid_at = $4 where id = $1
"""

_LAPSE = "update refunds set state = 'LAPSED' where id = $1"

_WENT = """
select t.debit_account_id, t.credit_account_id, c.holder_id is null as to_house
from transfers t join accounts c on c.id = t.credit_account_id where t.id = $1
"""
