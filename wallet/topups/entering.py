"""Entering what happened to top-ups: group acts that change state, money and events together.

Promise: rows are locked before they are decided on, so two answers for one top-up take turns; the
money follows the state in the same transaction. Tables owned: topups (every state but the first).
Who calls: delivering, through the teller's lanes.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wallet.events import (
    TopupFailed,
    TopupInRecovery,
    TopupReversed,
    TopupSucceeded,
    TopupUnknown,
)
from wallet.fees import fee_id
from wallet.identifiers import AccountId, HolderId, TopupId, TransferId, derived_id
from wallet.ledger.book import Book, Phase, Posted, Posting, Reversal, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account, wallets_of
from wallet.limits import Limits, Want, open_limits
from wallet.money import Currency
from wallet.outcomes import Declined, Done, Reason
from wallet.teller import UNTIL_SERVED, Lane
from wallet.topups.buying import counted
from wallet.topups.fees import fee_returned, fee_taken
from wallet.topups.numbers import OPERATORS
from wallet.topups.operators import Answer, Delivered, NotSent, Open, TakenBack
from wallet.topups.reading import Topup
from wallet.topups.states import IN_DOUBT, Decision, Move, Patience, State, decide
from wallet.work import Work


class Marking(Struct, frozen=True, kw_only=True):
    """A wish to send a held top-up."""

    topup_id: TopupId
    patience: Patience


class Heard(Struct, frozen=True, kw_only=True):
    """An answer to be entered. `sent_now`: it answers the submission itself, not a look-up."""

    topup_id: TopupId
    answer: Answer | NotSent
    patience: Patience
    sent_now: bool = False


class _Accounts(Struct, frozen=True, kw_only=True):
    """The accounts one top-up's money may move between, besides its hold's own."""

    wallet: AccountId
    operator_float: AccountId
    suspense: AccountId


async def mark_sent(work: Work, requests: Sequence[Marking]) -> list[Done]:
    """Commit HELD -> SENT for a group, before the calls: whoever gets `send` is the only sender.

    One held longer than operators are waited for is not sent any more (`too_old`).
    """
    ids = sorted({request.topup_id for request in requests})
    held = {row["id"]: row["created_at"] for row in await work.rows(_LOCK_HELD, ids)}
    answers: list[Done] = []
    sending: list[TopupId] = []
    for request in requests:
        # Taken out: a second request for the same top-up finds it gone and does not send.
        created_at = held.pop(request.topup_id, None)
        waited_s = 0.0 if created_at is None else (work.now - created_at).total_seconds()
        too_old = waited_s >= request.patience.give_up_s
        send = created_at is not None and not too_old
        if send:
            sending.append(request.topup_id)
        answers.append(Done(answer={"send": send, "too_old": too_old}))
    if sending:
        await work.execute(_MARK_SENT, sending, work.now)
    return answers


async def enter(work: Work, heard: Sequence[Heard]) -> list[Done]:
    """Enter a group's answers: decide each, move the money, tell the holders.

    Answers each with the state its top-up is left in; the empty text where there is none.
    """
    ids = sorted({one.topup_id for one in heard})
    rows = {row.id: row for row in await work.structs(Topup, _LOCK, ids)}
    known = [one for one in heard if one.topup_id in rows]
    moving = {one.topup_id for one in known if _decide(work, rows[one.topup_id], one).move}
    accounts = await _accounts_of(work, [rows[topup_id] for topup_id in sorted(moving)])
    captured = [rows[topup_id].resolved_by for topup_id in moving]
    book = await _open_book(work, accounts, captured, [rows[topup_id] for topup_id in moving])
    limits = await open_limits(work, [_counted(rows[topup_id]) for topup_id in moving])
    # Read under the wallets' locks, where a refund is paid too.
    refunded = await _refunded(work, [rows[topup_id] for topup_id in sorted(moving)], accounts)
    for one in known:
        before = rows[one.topup_id]
        decision = _decide(work, before, one)
        after = _heard(before, one, decision)
        if decision.move is not None:
            moves = _Moves(book, limits, accounts[one.topup_id], one.topup_id in refunded)
            after = moves.move(after, decision.move)
        rows[one.topup_id] = after
        _tell(work, before, after, one.topup_id in refunded)
        _want_looks(work, before, after, one)
    await limits.write()
    await book.write()
    await _write(work, rows.values())
    return [
        Done(answer={"state": rows[one.topup_id].state.value if one.topup_id in rows else ""})
        for one in heard
    ]


MARKING: Final = Lane("topup.mark_sent", mark_sent, patience_s=UNTIL_SERVED)
ENTERING: Final = Lane("topup.enter", enter, patience_s=UNTIL_SERVED)


def _decide(work: Work, row: Topup, one: Heard) -> Decision:
    sent_for_s = 0.0 if row.sent_at is None else (work.now - row.sent_at).total_seconds()
    return decide(row.state, one.answer, sent_for_s, one.patience)


def _heard(row: Topup, one: Heard, decision: Decision) -> Topup:
    """The row in its next state, the money not yet moved."""
    answer = one.answer
    told = answer.provider_ref if isinstance(answer, Delivered | Open | TakenBack) else None
    looked = not one.sent_now and row.state in IN_DOUBT
    return msgspec.structs.replace(
        row,
        state=decision.state,
        lookups=row.lookups + (1 if looked else 0),
        provider_ref=told or row.provider_ref,
        reason=decision.failure.value if decision.failure else row.reason,
    )


class _Moves(Struct, frozen=True):
    """Where the money of one top-up moves, and what it counted."""

    book: Book
    limits: Limits
    accounts: _Accounts
    refunded: bool

    def move(self, row: Topup, move: Move) -> Topup:
        """Move the money the decision asks for; a hold that is gone turns success into recovery,
        and what a dispute has given back already does not go to the holder a second time."""
        match move:
            case Move.CAPTURE:
                captured = self.book.capture(_id(row, "capture"), TransferId(row.id))
                if isinstance(captured, Posted):
                    self._end_fee(row, Phase.CAPTURE)
                    return msgspec.structs.replace(row, resolved_by=captured.transfer_id)
                expired = self._let_expire(row, captured)
                return self._recover(msgspec.structs.replace(expired, state=State.RECOVERY))
            case Move.RELEASE:
                hold = TransferId(row.id)
                released = self.limits.void(self.book, _counted(row), _id(row, "void"), hold)
                if isinstance(released, Posted):
                    self._end_fee(row, Phase.VOID)
                    return msgspec.structs.replace(row, resolved_by=released.transfer_id)
                return self._let_expire(row, released)
            case Move.RETURN:
                returned = _must(_return(self.book, row, self.accounts, self.refunded))
                self._return_fee(row)
                return msgspec.structs.replace(row, amended_by=returned.transfer_id)
            case Move.RECOVER:
                return self._recover(row)

    def _end_fee(self, row: Topup, phase: Phase) -> None:
        """The fee's hold ends as the price's does."""
        if not row.fee_minor:
            return
        hold = fee_id(TransferId(row.id))
        end = TransferId(derived_id(hold, phase.value))
        match phase:
            case Phase.CAPTURE:
                _must(self.book.capture(end, hold))
            case Phase.VOID:
                _must(self.book.void(end, hold))
            case _:
                _must(self.book.expire(end, hold))

    def _return_fee(self, row: Topup) -> None:
        """A top-up that was taken back has cost nothing; perhaps a refund gave it back before."""
        if row.fee_minor:
            _must(self.book.reverse(fee_returned(row)))

    def _recover(self, row: Topup) -> Topup:
        """The operator is owed for airtime nobody paid for: suspense stands in until the case
        ends."""
        posting = Posting(
            id=_id(row, "recovery"),
            debit=self.accounts.suspense,
            credit=self.accounts.operator_float,
            money=row.money,
            kind=TransferKind.TOPUP,
            reference=row.id,
        )
        return msgspec.structs.replace(row, amended_by=_must(self.book.post(posting)).transfer_id)

    def _let_expire(self, row: Topup, declined: Declined) -> Topup:
        """A hold past its moment, whether the janitor has been there already or not."""
        if declined.reason is not Reason.HOLD_EXPIRED:
            raise AssertionError(f"hold of top-up {row.id}: {declined.reason.value}")
        # The janitor's own id for it, so that whoever comes second repeats the first.
        expiry = TransferId(derived_id(row.id, "expiry"))
        expired = self.book.expire(expiry, TransferId(row.id))
        self._end_fee(row, Phase.EXPIRY)
        if isinstance(expired, Posted) and not expired.repeated:
            self.limits.release(_counted(row))
        return msgspec.structs.replace(row, resolved_by=expiry)


def _counted(row: Topup) -> Want:
    """How it was counted when its price was held."""
    return counted(row.holder_id, row.money, row.created_at)


async def _refunded(
    work: Work, rows: Sequence[Topup], accounts: Mapping[TopupId, _Accounts]
) -> set[TopupId]:
    """Which of these a dispute has refunded, in whole or in part."""
    captures = {row.resolved_by: row.id for row in rows if row.resolved_by is not None}
    if not captures:
        return set()
    wallets = [accounts[topup_id].wallet for topup_id in captures.values()]
    found = await work.rows(_REFUNDED, wallets, [*captures, *captures.values()])
    return {captures.get(row["reference"], TopupId(row["reference"])) for row in found}


def _return(book: Book, row: Topup, accounts: _Accounts, refunded: bool) -> Posted | Declined:
    """The operator's money back to the holder, counted against the capture; to suspense when a
    dispute has refunded it."""
    if row.resolved_by is not None and not refunded:
        return book.reverse(
            Reversal(
                id=_id(row, "return"),
                original_id=TransferId(row.resolved_by),
                kind=TransferKind.TOPUP_RETURN,
                reference=row.id,
            )
        )
    return book.post(
        Posting(
            id=_id(row, "return"),
            debit=accounts.operator_float,
            credit=accounts.suspense if refunded else accounts.wallet,
            money=row.money,
            kind=TransferKind.TOPUP_RETURN,
            reference=row.id,
        )
    )


def _id(row: Topup, part: str) -> TransferId:
    return TransferId(derived_id(row.id, part))


def _must(posted: Posted | Declined) -> Posted:
    if isinstance(posted, Declined):
        # A closed account: the job fails and stands until somebody looks at it.
        raise AssertionError(f"a top-up's money could not be moved: {posted.reason.value}")
    return posted


def _tell(work: Work, before: Topup, after: Topup, refunded: bool) -> None:
    """Publish a change of state, and leave an audit row where an ending was amended.

    A return that found the holder refunded stands in suspense for a person to look at; the holder
    was told of the refund.
    """
    if after.state is before.state:
        return
    if after.state is State.REVERSED and refunded:
        work.note("topup.returned_after_refund", str(after.id), holder_id=after.holder_id)
        return
    event = _EVENTS.get(after.state)
    if event is not None:
        work.emit(
            event(
                holder_id=after.holder_id,
                money=after.money,
                operator=OPERATORS[after.operator],
                phone_masked=after.phone_masked,
                reference=str(after.id),
            )
        )
    if after.state in (State.REVERSED, State.RECOVERY):
        work.note(f"topup.{after.state.value.lower()}", str(after.id), holder_id=after.holder_id)


_Event = (
    type[TopupUnknown]
    | type[TopupSucceeded]
    | type[TopupFailed]
    | type[TopupReversed]
    | type[TopupInRecovery]
)
_EVENTS: Final[dict[State, _Event]] = {
    State.UNKNOWN: TopupUnknown,
    State.SUCCEEDED: TopupSucceeded,
    State.FAILED: TopupFailed,
    State.REVERSED: TopupReversed,
    State.RECOVERY: TopupInRecovery,
}


def _want_looks(work: Work, before: Topup, after: Topup, one: Heard) -> None:
    """After a submission left open, the look-ups; after an ending of a sent one, the rechecks."""
    payload = {"bank": work.bank, "topup_id": str(after.id)}
    if one.sent_now and after.state in IN_DOUBT:
        work.later("topup.lookup", payload, at=work.now + one.patience.pause_after(0))
    if before.state in IN_DOUBT and after.state in (State.SUCCEEDED, State.FAILED):
        for seconds in one.patience.rechecks_s:
            work.later("topup.recheck", payload, at=work.now + timedelta(seconds=seconds))


async def _accounts_of(work: Work, rows: Sequence[Topup]) -> dict[TopupId, _Accounts]:
    wallets: dict[tuple[HolderId, Currency], AccountId] = {}
    for currency in dict.fromkeys(row.currency for row in rows):
        holders = [row.holder_id for row in rows if row.currency is currency]
        found = await wallets_of(work, holders, currency)
        wallets.update(((holder, currency), account) for holder, account in found.items())
    return {
        row.id: _Accounts(
            wallet=wallets[row.holder_id, row.currency],
            operator_float=await house_account(
                work, AccountKind.OPERATOR_FLOAT, row.currency, row.operator
            ),
            suspense=await house_account(
                work, AccountKind.SUSPENSE, row.currency, "topup_recovery"
            ),
        )
        for row in rows
    }


async def _open_book(
    work: Work,
    accounts: dict[TopupId, _Accounts],
    captured: Iterable[UUID | None],
    rows: Sequence[Topup],
) -> Book:
    dear = [row for row in rows if row.fee_minor]
    return await open_book(
        work,
        accounts=[a for one in accounts.values() for a in msgspec.structs.astuple(one)],
        ids=[fee_returned(row).id for row in dear],
        holds=[
            *(TransferId(topup_id) for topup_id in accounts),
            *(fee_id(TransferId(row.id)) for row in dear),
        ],
        originals=[
            *(TransferId(one) for one in captured if one is not None),
            *(fee_taken(row) for row in dear if row.resolved_by is not None),
        ],
    )


async def _write(work: Work, rows: Iterable[Topup]) -> None:
    changed = list(rows)
    if not changed:
        return
    await work.execute(
        _UPDATE,
        work.now,
        [row.id for row in changed],
        [row.state.value for row in changed],
        [row.lookups for row in changed],
        [row.provider_ref for row in changed],
        [row.reason for row in changed],
        [row.resolved_by for row in changed],
        [row.amended_by for row in changed],
    )


_LOCK_HELD = """
select id, created_at from topups where id = any($1) and state = 'HELD' order by id for update
"""

_MARK_SENT = """
update topups set state = 'SENT', sent_at = $2, updated_at = $2 where id = any($1)
"""

_LOCK = "select * from topups where id = any($1) order by id for update"

_UPDATE = """
update topups t
set state = n.state, lookups = n.lookups, provider_ref = n.provider_ref, reason = n.reason,
    resolved_by = n.resolved_by, amended_by = n.amended_by, updated_at = $1
from unnest($2::uuid[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::uuid[], $8::uuid[])
     as n (id, state, lookups, provider_ref, reason, resolved_by, amended_by)
where t.id = n.id
"""

_REFUNDED: Final = """
select distinct reference from transfers
where credit_account_id = any($1) and reference = any($2) and kind = 'refund'
  and phase = 'posted'
"""
