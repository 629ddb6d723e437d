"""Reading the books: balances now and at any past moment, and an account's entries newest first.

Promise: read-only, and never a sum over history: a page or a past balance starts at the nearest
checkpoint (`checkpoints`) and adds up what stands between. Entries of a wallet are in the order of
`seq`, which is the order they took effect in: whoever writes to a wallet draws the number while
it holds the wallet's row, so nothing appears below an entry that was shown. House accounts are
written without that lock; of those only what is final is shown (`settled_entries`).

    balance at a moment M  = the entries before the first one that is later than M
    An entry that began before M and took effect after a later one was not there at M.
    Of a closed business day, only what is within its cut counts for moments of that day.

Who calls: phone and bank doors, support's timeline, disputes, month.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.clock import day_of
from wallet.identifiers import AccountId, TransferId
from wallet.money import Currency, Money
from wallet.work import Work

STRETCH: Final = 384
"""Entries added up at a time behind a checkpoint: as many as stand between two, as a rule."""

_END: Final = 2**63 - 1


class Balance(Struct, frozen=True, kw_only=True):
    """`posted`: money that is there. `held`: reserved of it. `available`: the difference."""

    account_id: AccountId
    posted: Money
    held: Money
    available: Money


class Entry(Struct, frozen=True, kw_only=True):
    """One line of an account: `amount_minor` is negative when money left it. `balance_minor` is
    the posted balance after it, which an open hold does not change."""

    seq: int
    transfer_id: TransferId
    kind: str
    phase: str
    amount_minor: int
    currency: Currency
    at: datetime
    reference: UUID | None
    balance_minor: int


class Position(Struct, frozen=True, kw_only=True):
    """A place in an account: every entry up to `seq`, and what they come to."""

    seq: int
    posted_minor: int
    held_minor: int


async def balances(work: Work, account_ids: Sequence[AccountId]) -> dict[AccountId, Balance]:
    """The balance of each account, as of this Work."""
    found = {}
    for row in await work.rows(_BALANCES, list(account_ids)):
        account = AccountId(row["id"])
        found[account] = _balance(account, row["currency"], row["posted"], row["held"])
    return found


async def balance_at(work: Work, account_id: AccountId, moment: datetime) -> Balance | None:
    """The balance of an account of this bank as it was at `moment`; None for an unknown account.
    Before its first entry it is zero; from now on it is the balance as of this Work."""
    currency = await work.value(_CURRENCY, account_id)
    if currency is None:
        return None
    place = await position_at(work, account_id, moment)
    return _balance(account_id, currency, place.posted_minor, place.held_minor)


async def position_at(work: Work, account_id: AccountId, moment: datetime) -> Position:
    """The last entry of an account that was there at `moment`, and the sums up to it."""
    cut = await work.value(_CUT, account_id, day_of(moment))
    last = _END if cut is None else int(cut)
    start = await work.row(_CHECKPOINT_AT, account_id, moment, last)
    seq, posted, held = (0, 0, 0) if start is None else tuple(start)
    while True:
        row = await work.row(_STRETCH, account_id, seq, last, moment, STRETCH)
        assert row is not None  # noqa: S101 - an aggregate answers one row
        seq = row["seq"] if row["seq"] is not None else seq
        posted, held = posted + int(row["posted"]), held + int(row["held"])
        if row["ended"]:
            return Position(seq=seq, posted_minor=posted, held_minor=held)


async def entries(
    work: Work, account_id: AccountId, *, before_seq: int | None = None, limit: int = 50
) -> list[Entry]:
    """A wallet's entries older than `before_seq`, newest first: posted and captured money, and
    holds still open. Resolved holds show as their capture, or not at all; a forced post that the
    account paid nothing of does not show."""
    if before_seq is None:
        # Counters and newest entries in one statement: one snapshot, so they belong together.
        rows = await work.rows(_NEWEST, account_id, _END, limit)
        return _with_balances(rows, rows[0]["now"] if rows else 0)
    rows = await work.rows(_OLDER, account_id, before_seq, limit)
    return _with_balances(rows, await posted_before(work, account_id, before_seq))


async def settled_entries(
    work: Work, account_id: AccountId, *, before_seq: int | None = None, limit: int = 50
) -> list[Entry]:
    """As `entries`, for a house account: only what nothing can appear below any more."""
    final = await work.value(_FINAL, account_id) or 0
    before = min(_END if before_seq is None else before_seq, final + 1)
    return await entries(work, account_id, before_seq=before, limit=limit)


async def entries_between(
    work: Work, account_id: AccountId, after: Position, last_seq: int, most: int
) -> list[Entry]:
    """Posted and captured money after `after` and up to `last_seq`, oldest first, `most` at the
    most."""
    balance = after.posted_minor
    found = []
    for row in await work.rows(_BETWEEN, account_id, after.seq, last_seq, most):
        balance += row["amount_minor"]
        found.append(_entry(row, balance))
    return found


async def posted_before(work: Work, account_id: AccountId, seq: int) -> int:
    """The posted balance of the entries older than `seq`: nearest checkpoint and what follows."""
    start = await work.row(_CHECKPOINT_BEFORE, account_id, seq)
    from_seq, posted = (0, 0) if start is None else tuple(start)
    return int(posted) + int(await work.value(_POSTED_BETWEEN, account_id, from_seq, seq))


def _with_balances(rows: Sequence[Any], balance: int) -> list[Entry]:
    """Newest first: each entry with the balance after it, walking back from `balance`."""
    found = []
    for row in rows:
        found.append(_entry(row, balance))
        if row["phase"] != "hold":
            balance -= row["amount_minor"]
    return found


def _entry(row: Any, balance_minor: int) -> Entry:
    return Entry(
        seq=row["seq"],
        transfer_id=TransferId(row["transfer_id"]),
        kind=row["kind"],
        phase=row["phase"],
        amount_minor=row["amount_minor"],
        currency=Currency(row["currency"]),
        at=row["at"],
        reference=row["reference"],
        balance_minor=balance_minor,
    )


def _balance(account_id: AccountId, code: str, posted: int, held: int) -> Balance:
    currency = Currency(code)
    return Balance(
        account_id=account_id,
        posted=Money(posted, currency),
        held=Money(held, currency),
        available=Money(posted - held, currency),
    )


_BALANCES = """
select id, currency, credits_posted - debits_posted as posted, debits_pending as held
from accounts where id = any($1)
"""

_CURRENCY = "select currency from accounts where id = $1"

_CUT = """
select d.cut_seq from accounts a join business_days d on d.bank = a.bank and d.day = $2
where a.id = $1
"""

_FINAL = """
select p.seq from accounts a join journal_positions p on p.bank = a.bank where a.id = $1
"""

_CHECKPOINT_AT = """
select seq, credits_posted - debits_posted, debits_pending from balance_checkpoints
where account_id = $1 and latest_at <= $2 and seq <= $3
order by latest_at desc, seq desc limit 1
"""

_CHECKPOINT_BEFORE = """
select seq, credits_posted - debits_posted from balance_checkpoints
where account_id = $1 and seq < $2 order by seq desc limit 1
"""

# The next entries behind $2, cut off at the first one later than $4. `ended`: nothing follows. Each
# side is cut before the two are merged: of a view over both, the planner would sort all of it.
_STRETCH = """
with sides as (
    (select seq, at, case when phase in ('posted', 'capture') then -amount_minor else 0 end
                     as posted,
            case when phase = 'hold' then amount_minor
                 when pending_id is not null then -coalesce(
                     (select h.amount_minor from transfers h
                      where h.id = t.pending_id and h.phase = 'hold'), 0)
                 else 0 end as held
     from transfers t where debit_account_id = $1 and seq > $2 and seq <= $3
     order by seq limit $5)
    union all
    (select seq, at, case when phase in ('posted', 'capture') then amount_minor else 0 end, 0
     from transfers where credit_account_id = $1 and seq > $2 and seq <= $3
     order by seq limit $5)
), next as (
    select * from sides order by seq limit $5
), stop as (
    select coalesce(min(seq) filter (where at > $4), 9223372036854775807) as seq,
           count(*) < $5 or bool_or(at > $4) as ended
    from next
)
select max(next.seq) as seq, coalesce(sum(next.posted), 0) as posted,
       coalesce(sum(next.held), 0) as held, coalesce(min(stop.ended::int), 1) = 1 as ended
from stop left join next on next.seq < stop.seq
"""

_POSTED_BETWEEN = """
select coalesce(sum(credits_posted - debits_posted), 0) from transfer_legs
where account_id = $1 and seq > $2 and seq < $3
"""

# Each side is read by its own index, newest first, and cut before the two are merged.
_OLDER = """
with sides as (
    (select seq, id, kind, phase, -amount_minor as amount_minor, currency, at, reference
     from transfers t
     where debit_account_id = $1 and seq < $2 and amount_minor > 0
       and (phase in ('posted', 'capture')
            or (phase = 'hold' and exists (select 1 from open_holds o where o.id = t.id)))
     order by seq desc limit $3)
    union all
    (select seq, id, kind, phase, amount_minor, currency, at, reference
     from transfers
     where credit_account_id = $1 and seq < $2 and amount_minor > 0
       and phase in ('posted', 'capture')
     order by seq desc limit $3)
)
select seq, id as transfer_id, kind, phase, amount_minor, currency, at, reference
from sides order by seq desc limit $3
"""

_NEWEST = f"""
select page.*, a.credits_posted - a.debits_posted as now
from ({_OLDER}) as page join accounts a on a.id = $1 order by page.seq desc
"""  # noqa: S608 - of constants

_BETWEEN = """
with sides as (
    (select seq, id, kind, phase, -amount_minor as amount_minor, currency, at, reference
     from transfers
     where debit_account_id = $1 and seq > $2 and seq <= $3 and amount_minor > 0
       and phase in ('posted', 'capture')
     order by seq limit $4)
    union all
    (select seq, id, kind, phase, amount_minor, currency, at, reference
     from transfers
     where credit_account_id = $1 and seq > $2 and seq <= $3 and amount_minor > 0
       and phase in ('posted', 'capture')
     order by seq limit $4)
)
select seq, id as transfer_id, kind, phase, amount_minor, currency, at, reference
from sides order by seq limit $4
"""
