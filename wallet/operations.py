"""Bank operations with four eyes: shortfalls of forced posts settled, tiers of holders changed.

Promise: one clerk asks, another of the same bank approves exactly that, with a fresh time code,
within 24 hours. What settles a shortfall is a new transfer, posted once by the worker (a clerk's
own database role writes no transfers); the forced post and what stood in for it stay as they are.

    (none)    --a maker asks----------------> REQUESTED
    REQUESTED --another, fresh code: a tier--> DONE
    REQUESTED --another, fresh code: a shortfall-> APPROVED
    APPROVED  --posted by the worker--------> DONE
    APPROVED  --the book declined-----------> DECLINED   nothing moved; it may be asked for anew

    suspense paid for an empty or closed wallet   settled from the wallet, or by the bank's loss
    suspense took for a receiver that was closed  handed to the wallet, or kept by the bank

Tables owned: bank_requests. Who calls: the banks' door; runtime's worker (`settle`).
"""

import enum
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet.access import approvals
from wallet.access.approvals import Approval
from wallet.access.members import Permission
from wallet.database import UniqueViolation
from wallet.events import ShortfallSettled
from wallet.identifiers import (
    AccountId,
    ApprovalId,
    HolderId,
    StaffId,
    TransferId,
    derived_id,
    new_id,
)
from wallet.ledger.book import Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.proof import Check
from wallet.limits import Tier, set_tier, tiers_of
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.work import Work

ACT: Final = "operations"
SETTLE_JOB: Final = "operations.settle"

SecondPerson = Callable[[Work, ApprovalId, bytes], Awaitable[Approval | Declined]]
"""The checker's approval of this payload, proved with a fresh code."""


class Way(enum.StrEnum):
    """Who bears, or gets, what suspense stood in for."""

    WALLET = "wallet"
    """The account the case is about: it pays now what it could not, or gets what it could not."""
    BANK = "bank"
    """The bank's own account of such losses."""


class Request(Struct, frozen=True, kw_only=True):
    """What was asked for. `subject`: a holder, or the transfer that suspense stood in by."""

    id: UUID
    act: str
    subject: UUID
    holder_id: HolderId | None
    body: dict[str, Any]
    why: str
    state: str
    reason: str | None
    maker: StaffId
    checker: StaffId | None
    asked_at: datetime
    done_at: datetime | None


class Case(Struct, frozen=True, kw_only=True):
    """A shortfall: what suspense stood in for, for `account_id`. `state`: OPEN, REQUESTED, APPROVED
    or DONE."""

    transfer_id: TransferId
    forced_id: TransferId
    account_id: AccountId
    amount_minor: int
    currency: Currency
    cause: str
    at: datetime
    state: str

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


async def ask_tier(work: Work, holder_id: HolderId, tier: Tier, why: str) -> Outcome:
    """Ask that a holder's limits become those of `tier`.

    Refuses: NOT_FOUND (nobody of this bank), CONFLICT (`tier`: theirs already; `request`: the same
    waits for approval), FORBIDDEN.
    """
    if await work.value(_HOLDER, holder_id, work.bank) is None:
        raise Refused(Reason.NOT_FOUND, field="holder_id")
    if await _tier_of(work, holder_id) is tier:
        raise Refused(Reason.CONFLICT, field="tier")
    return await _ask(work, "tier", holder_id, holder_id, {"tier": tier.value}, why)


async def ask_settlement(work: Work, case_id: TransferId, way: Way, why: str) -> Outcome:
    """Ask that a shortfall be settled.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (approved or settled already), CONFLICT (`request`: the
    same waits for approval), FORBIDDEN.
    """
    case = await work.struct(Case, _CASE, case_id)
    if case is None:
        raise Refused(Reason.NOT_FOUND)
    if case.state in ("APPROVED", "DONE"):
        raise Refused(Reason.ILLEGAL_TRANSITION, state=case.state)
    holder_id = await work.value(_HOLDER_OF, case.account_id)
    return await _ask(work, "shortfall", case_id, holder_id, {"way": way.value}, why)


async def approve(work: Work, request_id: UUID, second: SecondPerson) -> Outcome:
    """Approve what another clerk asked for, and do it (a settlement: have it done).

    Declines: OTP_WRONG, LOCKED, APPROVAL_EXPIRED. Refuses: NOT_FOUND, FORBIDDEN, FOUR_EYES,
    ILLEGAL_TRANSITION (approved before), CONFLICT (the shortfall is settled by another request).
    """
    request = await work.struct(Request, _LOCK, request_id)
    if request is None:
        raise Refused(Reason.NOT_FOUND)
    asked = await approvals.newest(work, ACT, str(request.id))
    if asked is None:
        raise Refused(Reason.NOT_FOUND)
    if request.state != "REQUESTED":
        raise Refused(Reason.ILLEGAL_TRANSITION, state=request.state)
    payload = _payload(request)
    approved = await second(work, asked.id, payload)
    if isinstance(approved, Declined):
        return approved
    spent = await approvals.execute(work, asked.id, act=ACT, payload_hash=payload)
    if isinstance(spent, Declined):
        return spent
    checker = StaffId(UUID(work.actor.id))
    if request.act == "tier":
        assert request.holder_id is not None  # noqa: S101 - whose tier it is
        tier = Tier(request.body["tier"])
        await set_tier(work, request.holder_id, tier, reason=request.why)
        await work.execute(_APPROVE, request.id, "DONE", checker, work.now, work.now)
        return Done(answer=shown(msgspec.structs.replace(request, state="DONE")))
    try:
        await work.execute(_APPROVE, request.id, "APPROVED", checker, work.now, None)
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="shortfall") from None
    work.later(SETTLE_JOB, {"bank": work.bank, "request_id": str(request.id)})
    return Done(answer=shown(msgspec.structs.replace(request, state="APPROVED")))


async def settle(work: Work, request_id: UUID) -> None:
    """Post an approved settlement; once, however often it is called. A decline of the book (no
    money, closed) ends the request and leaves the shortfall open."""
    request = await work.struct(Request, _LOCK, request_id)
    if request is None or request.state != "APPROVED":
        return
    case = await work.row(_STOOD_IN, request.subject)
    assert case is not None  # noqa: S101 - shortfalls are never deleted
    account = AccountId(case["account_id"])
    if request.body["way"] == Way.BANK.value:
        account = await house_account(
            work, AccountKind.DISPUTE_LOSS, Currency(case["currency"]), "forced"
        )
    debit, credit = account, AccountId(case["debit_account_id"])
    if case["receiver_closed"]:
        debit, credit = AccountId(case["credit_account_id"]), account
    posting = Posting(
        id=settlement_id(TransferId(request.subject)),
        debit=debit,
        credit=credit,
        money=Money(case["amount_minor"], Currency(case["currency"])),
        kind=TransferKind.CORRECTION,
        reference=request.subject,
    )
    book = await open_book(work, accounts=[debit, credit], ids=[posting.id])
    posted = book.post(posting)
    await book.write()
    declined = posted.reason.value if isinstance(posted, Declined) else None
    state = "DONE" if declined is None else "DECLINED"
    if declined is None and request.holder_id is not None:
        way = Way(request.body["way"])
        work.emit(_settled(request.holder_id, posting, way, given=case["receiver_closed"]))
    settled_by = posting.id if declined is None else None
    await work.execute(_DONE, request.id, state, declined, settled_by, work.now)
    act = f"{ACT}.shortfall.{state.lower()}"
    work.note(act, str(request.subject), holder_id=request.holder_id, reason=request.why)


def _settled(holder_id: HolderId, posting: Posting, way: Way, *, given: bool) -> ShortfallSettled:
    """What the holder is told: who paid what was short, or who has what could not be given."""
    wallet = way is Way.WALLET
    how = ("given" if wallet else "kept") if given else ("taken" if wallet else "borne")
    return ShortfallSettled(
        holder_id=holder_id, money=posting.money, how=how, reference=str(posting.reference)
    )


def settlement_id(case_id: TransferId) -> TransferId:
    """The one transfer that settles a shortfall."""
    return TransferId(derived_id(case_id, "settlement"))


async def cases(
    work: Work, *, only_open: bool, before: tuple[datetime, UUID] | None = None, limit: int
) -> list[Case]:
    """The bank's shortfalls, newest first; `only_open`: those not settled yet."""
    at, place = before if before is not None else (None, None)
    return await work.structs(Case, _CASES, work.bank, only_open, at, place, limit)


async def requests(work: Work, *, before: UUID | None = None, limit: int) -> list[Request]:
    """What this bank's clerks asked for, newest first."""
    return await work.structs(Request, _REQUESTS, work.bank, before, limit)


def shown(request: Request) -> dict[str, Any]:
    """A request as bank operations read it."""
    return {
        "id": str(request.id),
        "act": request.act,
        "subject": str(request.subject),
        "wanted": request.body,
        "why": request.why,
        "state": request.state,
        "reason": request.reason,
        "asked_at": request.asked_at.isoformat(),
    }


async def _ask(
    work: Work, act: str, subject: UUID, holder_id: HolderId | None, body: dict[str, Any], why: str
) -> Outcome:
    request = Request(
        id=new_id(),
        act=act,
        subject=subject,
        holder_id=holder_id,
        body=body,
        why=why,
        state="REQUESTED",
        reason=None,
        maker=StaffId(UUID(work.actor.id)),
        checker=None,
        asked_at=work.now,
        done_at=None,
    )
    # One at a time for one subject: the second of two who ask the same at once finds the first.
    await work.value(_TAKE_TURNS, str(subject))
    waits = await work.value(_WAITS, act, subject, body, work.now - approvals.LIFE)
    if waits is not None:
        raise Refused(Reason.CONFLICT, field="request", request_id=str(waits))
    await approvals.request(
        work, ACT, str(request.id), _payload(request), permission=Permission.OPERATIONS_ASK
    )
    await work.execute(
        _ADD, request.id, work.bank, act, subject, holder_id, body, why, request.maker, work.now
    )
    work.note(f"{ACT}.{act}.ask", str(subject), holder_id=holder_id, reason=why)
    return Done(answer=shown(request))


async def _tier_of(work: Work, holder_id: HolderId) -> Tier:
    return (await tiers_of(work, [holder_id])).get(holder_id, Tier.FULL)


def _payload(request: Request) -> bytes:
    return approvals.hash_of(
        [str(request.id), request.act, str(request.subject), request.body, request.why]
    )


_HOLDER: Final = "select id from holders where id = $1 and bank = $2"

_HOLDER_OF: Final = "select holder_id from accounts where id = $1"

_ADD: Final = """
insert into bank_requests (id, bank, act, subject, holder_id, body, why, state, maker, asked_at)
values ($1, $2, $3, $4, $5, $6, $7, 'REQUESTED', $8, $9)
"""

_TAKE_TURNS: Final = """
select pg_advisory_xact_lock(hashtextextended('bank_requests:' || $1, 0))::text
"""

_WAITS: Final = """
select id from bank_requests
where act = $1 and subject = $2 and body = $3 and state = 'REQUESTED' and asked_at > $4 limit 1
"""

_COLUMNS: Final = """
select id, act, subject, holder_id, body, why, state, reason, maker, checker, asked_at, done_at
from bank_requests"""

_LOCK: Final = f"{_COLUMNS} where id = $1 for update"

_REQUESTS: Final = f"""{_COLUMNS}
where bank = $1 and ($2::uuid is null or id < $2) order by id desc limit $3
"""

_APPROVE: Final = """
update bank_requests set state = $2, checker = $3, approved_at = $4, done_at = $5 where id = $1
"""

_DONE: Final = """
update bank_requests set state = $2, reason = $3, settled_by = $4, done_at = $5 where id = $1
"""

_WITH_STATE: Final = """
select s.transfer_id, s.forced_id, s.account_id, s.amount_minor, s.currency, s.cause, s.at,
       coalesce((select case when r.state = 'DECLINED' then 'OPEN' else r.state end
                 from bank_requests r where r.act = 'shortfall' and r.subject = s.transfer_id
                 order by r.state in ('APPROVED', 'DONE') desc, r.id desc limit 1),
                'OPEN') as state
from shortfalls s"""

_CASE: Final = f"{_WITH_STATE} where s.transfer_id = $1"

_CASES: Final = f"""{_WITH_STATE}
where s.bank = $1
  and not ($2 and exists (select from bank_requests r where r.act = 'shortfall'
                          and r.subject = s.transfer_id and r.state = 'DONE'))
  and ($3::timestamptz is null or (s.at, s.transfer_id) < ($3, $4::uuid))
order by s.at desc, s.transfer_id desc limit $5
"""

_STOOD_IN: Final = """
select s.account_id, s.amount_minor, s.currency, t.debit_account_id, t.credit_account_id,
       forced.credit_account_id = s.account_id as receiver_closed
from shortfalls s
join transfers t on t.id = s.transfer_id
join transfers forced on forced.id = s.forced_id
where s.transfer_id = $1
"""

CHECKS: Final = (
    Check(
        name="every settled shortfall is one transfer of its amount, against its suspense",
        sql="""
        select format('shortfall %s is not settled as its request says', r.subject) as difference
        from bank_requests r
        join shortfalls s on s.transfer_id = r.subject
        join transfers stood on stood.id = s.transfer_id
        left join transfers t on t.id = r.settled_by and t.phase = 'posted'
            and t.reference = r.subject and t.amount_minor = s.amount_minor
            and t.currency = s.currency
            and (t.credit_account_id = stood.debit_account_id
                 or t.debit_account_id = stood.credit_account_id)
        where r.act = 'shortfall' and r.state = 'DONE' and t.id is null
        """,
    ),
)
