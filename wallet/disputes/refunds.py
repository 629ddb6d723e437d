"""Refunds: money back by a new ledger entry, by one person or, above the threshold, by two.

Promise: a refund never exceeds what remains of its case, counting what came back by other doors
(read under the wallet's lock, so that an operator's return and a refund cannot both be paid); the
entry, the case's liability and the audit row commit together; the maker is never the checker (a
constraint as well); asked or approved twice it is paid once. The threshold holds for all that is
paid in a case by single persons together: a large refund cut into small ones needs two as well.

    (asked, up to the threshold)  -> PAID
    (asked, above it) -> REQUESTED --a supervisor, not who asked, fresh code--> PAID
                                   --24 hours--> LAPSED
    One refund of a case waits at a time (a unique index as well); meanwhile nothing else of it is
    paid, so what waits stays covered.

Money comes from the house account the transaction went to (COUNTERPARTY: recovered) or from the
bank's own loss account (BANK: written off). Who acts is the Work's own actor. The fee of a top-up
comes back, from the bank's fees, with the refund that leaves nothing of its price.

Tables owned: refunds. Who calls: support door, closing.
"""

import enum
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet import topups
from wallet.access import approvals, staff
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.disputes import cases
from wallet.disputes.cases import Case, CaseState
from wallet.disputes.statements import without_card_numbers
from wallet.events import DisputeRefunded
from wallet.identifiers import (
    AccountId,
    ApprovalId,
    BankId,
    DisputeId,
    RefundId,
    StaffId,
    TransferId,
    new_id,
)
from wallet.ledger.book import Reversal, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import ActorKind, Work

ACT: Final = "dispute.refund"
MAKES: Final = Permission.REFUND_ASK
APPROVER: Final = Permission.REFUND_APPROVE

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The checker's approval of this payload, proved with a fresh code."""


class Source(enum.StrEnum):
    """Whose money it is: where the transaction's went, or the bank's own."""

    COUNTERPARTY = "COUNTERPARTY"
    BANK = "BANK"


class RefundState(enum.StrEnum):
    REQUESTED = "REQUESTED"
    PAID = "PAID"
    LAPSED = "LAPSED"


class Wish(Struct, frozen=True, kw_only=True):
    """What an agent asks for. `threshold`, in the same currency: above it, two persons."""

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
    state: RefundState
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


async def ask(work: Work, wish: Wish) -> Outcome:
    """Give money back at once, or ask a second person when above the threshold.

    Refuses: not_found, forbidden, dispute_closed, refund_exceeds, currency_unsupported,
    amount_invalid, account_closed, conflict (the transaction did not go to a house account, or
    another refund of the case waits).
    """
    maker = await acting_agent(work)
    case = await cases.locked(work, wish.case_id)
    _decide(case, wish.money)
    if await waiting(work, case):
        raise Refused(Reason.CONFLICT)
    debit, credit = await _accounts(work, case, wish.source)
    refund = Refund(
        id=RefundId(new_id()),
        dispute_id=case.id,
        amount_minor=wish.money.minor,
        source=wish.source,
        why=without_card_numbers(wish.why),
        state=RefundState.REQUESTED,
        maker=maker,
        checker=None,
        approval_id=None,
        at=work.now,
    )
    alone = Money(await work.value(_PAID_ALONE, case.id), case.currency)
    if wish.money + alone <= wish.threshold:
        await _add(work, case, refund)
        return await _pay(work, case, refund, None, debit, credit)
    return await _request(work, case, refund)


async def approve(work: Work, refund_id: RefundId, second: SecondPerson) -> Outcome:
    """Approve, as another member of staff, and pay in the same Work.

    Declines: otp_wrong, locked, approval_expired (the refund lapses).
    Refuses: not_found, illegal_transition (paid or lapsed), four_eyes, forbidden, refund_exceeds
    (the money has come back otherwise), account_closed.
    """
    checker = await _acting(work, APPROVER)
    # The case is always locked before its refunds, here as in `ask`.
    case_id = await work.value(_CASE_OF, refund_id)
    if case_id is None:
        raise Refused(Reason.NOT_FOUND)
    case = await cases.locked(work, DisputeId(case_id))
    refund = await work.struct(Refund, _LOCK, refund_id)
    if refund is None:
        raise Refused(Reason.NOT_FOUND)
    if refund.state is not RefundState.REQUESTED or refund.approval_id is None:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=refund.state.value)
    if refund.maker == checker:
        raise Refused(Reason.FOUR_EYES)
    _decide(case, Money(refund.amount_minor, case.currency))
    approved = await second(work, refund.approval_id, refund.payload_hash)
    if isinstance(approved, Declined):
        if approved.reason is Reason.APPROVAL_EXPIRED:
            await _lapse(work, case, refund)
        return approved
    spent = await approvals.execute(
        work, refund.approval_id, act=ACT, payload_hash=refund.payload_hash
    )
    if isinstance(spent, Declined):
        await _lapse(work, case, refund)
        return spent
    debit, credit = await _accounts(work, case, refund.source)
    return await _pay(work, case, refund, checker, debit, credit)


async def waiting(work: Work, case: Case) -> Refund | None:
    """The refund of a locked case that waits for a second person. One that has waited too long
    lapses here and now."""
    refund = await work.struct(Refund, _LOCK_WAITING, case.id)
    if refund is None:
        return None
    approval = await approvals.newest(work, ACT, str(refund.id))
    if approval is not None and approval.expires_at > work.now:
        return refund
    await _lapse(work, case, refund)
    return None


async def with_refund_waiting(work: Work, case_ids: Sequence[DisputeId]) -> set[DisputeId]:
    """Which of these cases have a refund that still waits for a second person."""
    rows = await work.rows(_WAIT, list(case_ids), work.now - approvals.LIFE)
    return {DisputeId(row["dispute_id"]) for row in rows}


async def acting_agent(work: Work) -> StaffId:
    """The support agent whose Work this is. Refuses: forbidden."""
    return await _acting(work, MAKES)


async def of_case(work: Work, case_id: DisputeId) -> list[Refund]:
    """The refunds of a case, oldest first."""
    return await work.structs(Refund, f"{_REFUND} where dispute_id = $1 order by at, id", case_id)


async def bank_of(work: Work, refund_id: RefundId) -> BankId:
    """The bank whose books a refund is paid in. Refuses: not_found."""
    bank: str | None = await work.value("select bank from refunds where id = $1", refund_id)
    if bank is None:
        raise Refused(Reason.NOT_FOUND)
    return BankId(bank)


async def _acting(work: Work, permission: Permission) -> StaffId:
    if work.actor.kind is not ActorKind.SUPPORT:
        raise Refused(Reason.FORBIDDEN)
    member = await staff.member_of(work, StaffId(UUID(work.actor.id)))
    if not member.may(permission):
        raise Refused(Reason.FORBIDDEN, permission=permission.value)
    return member.id


async def _request(work: Work, case: Case, refund: Refund) -> Outcome:
    """Ask a second person. What is not there to be given is refused before anybody is asked."""
    _decide_left(case, refund.amount_minor, await cases.came_back_elsewhere(work, case))
    approval = await approvals.request(
        work, ACT, str(refund.id), refund.payload_hash, permission=MAKES
    )
    requested = msgspec.structs.replace(refund, approval_id=approval.id)
    await _add(work, case, requested)
    await cases.record(
        work,
        case,
        "FINANCIAL",
        "REFUND_REQUESTED",
        amount_minor=refund.amount_minor,
        detail=f"{refund.source.value}: {refund.why}",
    )
    return Done(answer=_answer(case, refund, RefundState.REQUESTED))


async def _add(work: Work, case: Case, refund: Refund) -> None:
    await work.execute(
        _ADD,
        refund.id,
        case.bank,
        case.id,
        refund.amount_minor,
        refund.source.value,
        refund.why,
        refund.maker,
        refund.approval_id,
        work.now,
    )


async def _lapse(work: Work, case: Case, refund: Refund) -> None:
    await work.execute(_LAPSE, refund.id)
    await cases.record(work, case, "WORKFLOW", "REFUND_LAPSED", amount_minor=refund.amount_minor)


async def _pay(
    work: Work,
    case: Case,
    refund: Refund,
    checker: StaffId | None,
    debit: AccountId,
    credit: AccountId,
) -> Outcome:
    transfer_id, fee = await _post(work, case, refund, debit, credit)
    await work.execute(_PAID, refund.id, transfer_id, checker, work.now)
    recovered = refund.source is Source.COUNTERPARTY
    await cases.count_given_back(work, case, refund.amount_minor, recovered=recovered)
    await cases.record(
        work,
        case,
        "FINANCIAL",
        "REFUND_PAID",
        amount_minor=refund.amount_minor,
        detail=f"{refund.source.value}: {refund.why}",
    )
    if not recovered:
        await cases.record(work, case, "LIABILITY", "WRITTEN_OFF", amount_minor=refund.amount_minor)
    if fee is not None:
        await cases.record(work, case, "FINANCIAL", "FEE_RETURNED", amount_minor=fee.minor)
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
            money=Money(refund.amount_minor, case.currency),
            fee=fee,
        )
    )
    return Done(answer=_answer(case, refund, RefundState.PAID))


async def _post(
    work: Work, case: Case, refund: Refund, debit: AccountId, credit: AccountId
) -> tuple[TransferId, Money | None]:
    """Post the refund; answers its transfer, and the fee that came back with it."""
    transfer_id = TransferId(refund.id)
    whole = refund.amount_minor == case.remaining_minor
    topup = await topups.taken_by(work, case.transfer_id) if whole else None
    fees = [topups.fee_returned(topup)] if topup is not None else []
    book = await open_book(
        work,
        accounts=[debit, credit],
        ids=[transfer_id, *(fee.id for fee in fees)],
        originals=[case.transfer_id, *(fee.original_id for fee in fees)],
    )
    # Read under the wallet's lock, which whoever else gives this money back needs as well.
    _decide_left(case, refund.amount_minor, await cases.came_back_elsewhere(work, case))
    # Counted by the ledger against the transaction itself, whatever this room has counted.
    answer = book.reverse(
        Reversal(
            id=transfer_id,
            original_id=case.transfer_id,
            money=Money(refund.amount_minor, case.currency),
            kind=TransferKind.REFUND,
            paid_by=debit,
            reference=case.transfer_id,
        )
    )
    for posted in (answer, *(book.reverse(fee) for fee in fees)):
        if isinstance(posted, Declined):
            raise Refused(posted.reason, **posted.facts)
    await book.write()
    return transfer_id, topup.fee if topup is not None else None


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
        raise Refused(Reason.CURRENCY_UNSUPPORTED, currency=case.currency.value)
    if money.minor <= 0:
        raise Refused(Reason.AMOUNT_INVALID)
    if money > case.remaining:
        raise Refused(Reason.REFUND_EXCEEDS, remaining_minor=case.remaining_minor)


def _decide_left(case: Case, amount_minor: int, came_back_minor: int) -> None:
    left = case.remaining_minor - came_back_minor
    if amount_minor > left:
        raise Refused(Reason.REFUND_EXCEEDS, remaining_minor=max(left, 0))


def _answer(case: Case, refund: Refund, state: RefundState) -> dict[str, str | int]:
    return {
        "refund_id": str(refund.id),
        "dispute_id": str(case.id),
        "state": state.value,
        "amount_minor": refund.amount_minor,
        "currency": case.currency.value,
    }


_REFUND = """
select id, dispute_id, amount_minor, source, why, state, maker, checker, approval_id, at
from refunds
"""

_LOCK = f"{_REFUND} where id = $1 for update"

_CASE_OF = "select dispute_id from refunds where id = $1"

_LOCK_WAITING = f"{_REFUND} where dispute_id = $1 and state = 'REQUESTED' for update"

# As approvals would say it, without asking for each one.
_WAIT = """
select dispute_id from refunds where dispute_id = any($1) and state = 'REQUESTED' and at > $2
"""

_PAID_ALONE = """
select coalesce(sum(amount_minor), 0)::bigint from refunds
where dispute_id = $1 and state = 'PAID' and checker is null
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
