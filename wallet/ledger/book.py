"""The book: lock, decide, write. The one place where money moves.

Promise: TigerBeetle's transfer model on PostgreSQL. `open_book` locks the floor accounts a group
touches in id order and loads holds and known transfers; the acts decide in plain Python, each
seeing those before it; `write` stores everything with one statement a table. House accounts have
no floor: they are not locked while deciding, their counters are added to at write time, again in
id order. One open and one write a Work, so every transaction locks open holds, reversal counters,
floor accounts and house accounts in that order, and none waits in a circle.

    (none)  -> posted -> given back by reversals, in sum never above it
    (none)  -> hold -> captured (up to its amount; the rest is released)
                    -> voided
                    -> expired (at or after expires_at)
    (none)  -> close (its debit account takes nothing new) -> voided (open again)
    (none)  -> tombstone (a transfer of this id is never posted)
    A hold is resolved once (unique index on pending_id). The same id with the same content gives
    the same answer; with other content it is declined. A decline leaves nothing behind.

Tables owned: transfers, open_holds, reversals, shortfalls; counters and closing of accounts.
Who calls: rooms that move money.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from wallet.identifiers import AccountId, TransferId
from wallet.ledger import forcing, reversing
from wallet.ledger.group import Group, closing_of, row_of
from wallet.ledger.transfer import (
    Account,
    Balancing,
    How,
    Phase,
    Posted,
    Posting,
    Reversal,
    Row,
    TransferKind,
    forced_ids,
)
from wallet.outcomes import Declined, Reason, Refused
from wallet.work import Work

__all__ = [
    "Balancing",
    "Book",
    "Phase",
    "Posted",
    "Posting",
    "Reversal",
    "TransferKind",
    "due_holds",
    "forced_ids",
    "open_book",
]


class Book(Group):
    """One group's view of the accounts it touches; written once at the end."""

    def __init__(
        self,
        work: Work,
        accounts: dict[int, Account],
        known: dict[UUID, Row],
        resolutions: dict[UUID, Row],
        returned: dict[UUID, int],
    ) -> None:
        super().__init__(work.now, accounts, known, resolutions, returned)
        self._work = work
        self._written = False

    def post(self, posting: Posting) -> Posted | Declined:
        """Move money at once.

        Declines, in this order: reversed_first, transfer_differs, amount_zero, amount_negative,
        amount_too_large, accounts_same, account_not_found, currency_unsupported, account_closed,
        nothing_to_move (balancing), balance_too_large, insufficient_funds (with available_minor).
        """
        return self.begin(row_of(posting, Phase.POSTED))

    def hold(self, posting: Posting, lasts: timedelta) -> Posted | Declined:
        """Reserve money, counted against what is available at once, until `lasts` from now.

        Declines: as `post`; hold_expired when it would be over at once.
        """
        if lasts <= timedelta(0):
            return Declined(reason=Reason.HOLD_EXPIRED)
        return self.begin(row_of(posting, Phase.HOLD, expires_at=self.now + lasts, lasts=lasts))

    def capture(
        self, transfer_id: TransferId, hold_id: TransferId, amount_minor: int | None = None
    ) -> Posted | Declined:
        """Turn a hold into a posted transfer, whole or in part; the rest is released.

        Declines, in this order: link_to_itself, reversed_first, transfer_differs, amount_zero,
        amount_negative, amount_too_large, hold_not_found, not_a_hold, account_closed (a closing is
        never captured), exceeds_hold, hold_already_captured, hold_already_voided, hold_expired.
        """
        return self.resolve(transfer_id, hold_id, Phase.CAPTURE, amount_minor)

    def void(self, transfer_id: TransferId, hold_id: TransferId) -> Posted | Declined:
        """Release a hold, or open again what a closing closed. Declines: as `capture`."""
        return self.resolve(transfer_id, hold_id, Phase.VOID, None)

    def expire(self, transfer_id: TransferId, hold_id: TransferId) -> Posted | Declined:
        """Release a hold whose moment has come. Declines: hold_not_yet_expired, as `capture`."""
        return self.resolve(transfer_id, hold_id, Phase.EXPIRY, None)

    def close(
        self, transfer_id: TransferId, account_id: AccountId, against: AccountId
    ) -> Posted | Declined:
        """Close an account by a hold of nothing; void that hold to open it again.

        What it holds stays in it, and what is pending may still be resolved. `against` is any
        other open account of its currency; a house account to be closed is named in `exact`.
        Declines: transfer_differs, accounts_same, account_not_found, currency_unsupported,
        account_closed.
        """
        account = self.accounts.get(account_id)
        return self.begin(closing_of(transfer_id, account, account_id, against))

    def force(self, posting: Posting, suspense: AccountId) -> Posted | Declined:
        """Post whatever the wallet holds; `suspense` stands in for the rest (`shortfall_minor`).

        Declines: reversed_first, transfer_differs, amount_zero, amount_negative,
        amount_too_large, accounts_same, account_not_found, currency_unsupported,
        balance_too_large; account_closed or insufficient_funds when the receiver is closed and
        the payer is so too, or cannot pay.
        """
        return forcing.force(self, row_of(posting, Phase.POSTED), How.FORCED, suspense)

    def force_capture(
        self,
        transfer_id: TransferId,
        hold_id: TransferId,
        amount_minor: int,
        suspense: AccountId,
    ) -> Posted | Declined:
        """Capture whatever was cleared: above the hold, or late, or for a closed account.

        Declines: link_to_itself, transfer_differs, amount_zero, amount_negative,
        amount_too_large, hold_not_found, not_a_hold, and as `force`.
        """
        return forcing.force_capture(self, transfer_id, hold_id, amount_minor, suspense)

    def reverse(self, reversal: Reversal, suspense: AccountId | None = None) -> Posted | Declined:
        """Give a posted or captured transfer back, in part or whole; the sum never passes it.

        With `suspense` it is forced: that stands in for what the receiver no longer has.
        Declines, in this order: link_to_itself, original_not_found, transfer_differs,
        amount_zero, amount_negative, amount_too_large, accounts_same, not_reversible,
        currency_unsupported, already_reversed, exceeds_original (with left_minor), and as `post`.
        """
        return reversing.reverse(self, reversal, suspense)

    def forestall(self, original: Posting, by: TransferId) -> Posted | Declined:
        """Leave a tombstone for a transfer whose reversal `by` came first: it is never posted.

        Declines: link_to_itself, transfer_differs (it is there: reverse it), already_reversed (by
        another reversal), and the form and accounts as `post`.
        """
        return reversing.forestall(self, original, by)

    async def write(self) -> None:
        """Store what was decided: one statement a table, once.

        Refuses: in_flight when another transaction stored one of these ids meanwhile; conflict
        when a house account was closed or opened meanwhile. Asked again, both find it.
        """
        if self._written:
            raise AssertionError("a book is written once")
        self._written = True
        if not self.new:
            return
        self._store_transfers()
        self._store_reversals()
        self._store_holds()
        self._store_shortfalls()
        self._store_counters()

    def _store_transfers(self) -> None:
        work, new = self._work, self.new
        work.store(
            "transfers",
            _INSERT_TRANSFERS,
            work.bank,
            work.now,
            [row.id for row in new],
            [row.phase for row in new],
            [row.kind for row in new],
            [row.debit_account_id for row in new],
            [row.credit_account_id for row in new],
            [row.amount_minor for row in new],
            [row.currency for row in new],
            [row.pending_id for row in new],
            [row.expires_at for row in new],
            [row.reference for row in new],
            [row.how for row in new],
            [row.requested_minor for row in new],
            [row.original_id for row in new],
            clash=Refused(Reason.IN_FLIGHT),
        )

    def _store_holds(self) -> None:
        if self.opened:
            opened = self.opened.values()
            self._work.store(
                "open_holds",
                _OPEN_HOLDS,
                self._work.bank,
                [row.id for row in opened],
                [row.expires_at for row in opened],
            )
        if self.resolved:
            # one that was not open is a defect of ours
            resolved = list(self.resolved)
            self._work.store("open_holds", _CLOSE_HOLDS, resolved, rows=len(resolved))

    def _store_reversals(self) -> None:
        given = {
            original: returned - self.returned_before.get(original, 0)
            for original, returned in self.returned.items()
            if returned != self.returned_before.get(original, 0)
        }
        if not given:
            return
        self._work.store(
            "reversals",
            _GIVE_BACK,
            self._work.bank,
            list(given),
            [self.known[original].amount_minor for original in given],
            list(given.values()),
            # between house accounts, somebody else gave the first part back meanwhile
            clash=Refused(Reason.IN_FLIGHT),
        )

    def _store_shortfalls(self) -> None:
        cases = list(self.shortfalls.values())
        if not cases:
            return
        self._work.store(
            "shortfalls",
            _OPEN_CASES,
            self._work.bank,
            self._work.now,
            [case.transfer_id for case in cases],
            [case.forced_id for case in cases],
            [case.account_id for case in cases],
            [case.amount_minor for case in cases],
            [case.currency for case in cases],
            [case.cause.value for case in cases],
        )
        for case in cases:
            self._work.note("ledger.shortfall", str(case.forced_id), reason=case.cause.value)

    def _store_counters(self) -> None:
        accounts = self.accounts.values()
        turned = [account for account in accounts if account.closed != account.closed_before]
        # One statement changes a row once: what is closed or opened gets its counters there.
        changed = [
            account
            for account in accounts
            if account.closed == account.closed_before and any(account.deltas)
        ]
        self._store_counters_of([a for a in changed if a.has_floor], _ADD_COUNTERS)
        self._store_counters_of(
            [a for a in changed if not a.has_floor], _ADD_TO_HOUSE, "house_to_add"
        )
        if turned:
            closed = [account.closed for account in turned]
            self._store_counters_of(turned, _TURN, "house_to_turn", closed, self._work.now)

    def _store_counters_of(
        self, accounts: list[Account], sql: str, locked: str | None = None, *also: object
    ) -> None:
        """With `locked`, what is house among them is locked first, and as the last thing the
        transaction does: everybody meets on those few rows, and holds them for a blink."""
        if not accounts:
            return
        house = [account for account in accounts if not account.has_floor]
        named = [[a.id for a in house], [a.closed_before for a in house]] if locked else []
        self._work.store(
            "accounts",
            sql,
            [account.id for account in accounts],
            *([account.deltas[i] for account in accounts] for i in range(4)),
            *named,
            *also,
            # each locks its own: a row changed by one part cannot be locked by another
            first=((locked, _LOCK_HOUSE),) if locked else (),
            rows=len(accounts),
            short=Refused(Reason.CONFLICT) if house else None,
            last=locked is not None,
        )


async def open_book(
    work: Work,
    *,
    accounts: Sequence[AccountId],
    ids: Sequence[TransferId] = (),
    holds: Sequence[TransferId] = (),
    originals: Sequence[TransferId] = (),
    exact: Sequence[AccountId] = (),
) -> Book:
    """Lock and load what a group touches.

    `accounts`: every account a new posting names. `ids`: ids of new transfers that may have been
    seen before. `holds`: holds and closings to resolve; `originals`: transfers to give back (the
    accounts of both are found and locked with the others). `exact`: house accounts to be closed
    or balanced against; with any, all house accounts of the group are locked while deciding.
    Refuses: in_flight when an account stays locked beyond the lock time-out.
    """
    if work.bank is None:
        raise AssertionError("money moves within one bank's books")
    known: dict[UUID, Row] = {}
    wanted = {*accounts, *exact}
    # Locking these rows first makes groups that resolve one hold, or give back one transfer, take
    # turns even between house accounts, which are not locked while deciding.
    if holds:
        await work.rows(_LOCK_OPEN_HOLDS, sorted(set(holds)))
    if originals:
        await work.rows(_LOCK_REVERSALS, sorted(set(originals)))
    if holds or originals:
        for row in await _transfers(work, _TRANSFERS, [*holds, *originals]):
            known[row.id] = row
            wanted.update((AccountId(row.debit_account_id), AccountId(row.credit_account_id)))
    loaded = await _load_accounts(work, sorted(wanted), exact=bool(exact))
    # Read after the locks: whoever was before us has committed by now.
    if ids:
        for row in await _transfers(work, _TRANSFERS, ids):
            known[row.id] = row
    resolutions: dict[UUID, Row] = {}
    if holds:
        for row in await _transfers(work, _RESOLUTIONS, holds):
            if row.pending_id is not None:
                resolutions[row.pending_id] = row
                known.setdefault(row.id, row)
    returned: dict[UUID, int] = dict.fromkeys(originals, 0)
    if originals:
        for record in await work.rows(_RETURNED, list(originals)):
            returned[record["original_id"]] = record["returned_minor"]
    return Book(work, loaded, known, resolutions, returned)


async def _load_accounts(work: Work, ids: list[AccountId], *, exact: bool) -> dict[int, Account]:
    """Floor accounts locked in id order and read; house accounts read, without a lock unless
    `exact`."""
    rows = await work.rows(_LOAD_ACCOUNTS, ids, work.bank)
    house = [row["id"] for row in rows if not row["has_floor"]] if exact else []
    if house:
        read = {row["id"]: row for row in rows}
        read.update((row["id"], row) for row in await work.rows(_LOCK_HOUSE_ACCOUNTS, house))
        rows = list(read.values())
    return {row["id"]: Account(row, exact=exact or row["has_floor"]) for row in rows}


async def _transfers(work: Work, sql: str, ids: Sequence[UUID]) -> list[Row]:
    records = await work.rows(sql, list(dict.fromkeys(ids)))
    return [Row(**{name: record[name] for name in Row.__struct_fields__}) for record in records]


async def due_holds(work: Work, limit: int) -> list[TransferId]:
    """Holds of the Work's bank whose moment has come, in order of expiry."""
    rows = await work.rows(_DUE_HOLDS, work.now, limit)
    return [TransferId(row["id"]) for row in rows]


_LOCK_OPEN_HOLDS = "select id from open_holds where id = any($1) order by id for update"

_LOCK_REVERSALS = """
select original_id from reversals where original_id = any($1) order by original_id for update
"""

_RETURNED = "select original_id, returned_minor from reversals where original_id = any($1)"

_ACCOUNT_FIELDS = """id, currency, has_floor, closed_at is not null as closed,
       debits_pending, debits_posted, credits_pending, credits_posted"""

_LOAD_ACCOUNTS = f"""
with wallets as (
    select {_ACCOUNT_FIELDS}
    from accounts where id = any($1) and has_floor and bank = $2
    order by id for no key update
)
select * from wallets
union all
select {_ACCOUNT_FIELDS}
from accounts where id = any($1) and not has_floor and bank = $2
"""  # noqa: S608 - of constants

_LOCK_HOUSE_ACCOUNTS = f"""
select {_ACCOUNT_FIELDS}
from accounts where id = any($1) and not has_floor
order by id for no key update
"""  # noqa: S608 - of constants

_TRANSFER_FIELDS = """
select id, phase, kind, debit_account_id, credit_account_id, amount_minor, currency, pending_id,
       expires_at, reference, how, requested_minor, original_id, expires_at - at as lasts
from transfers
"""

_TRANSFERS = _TRANSFER_FIELDS + "where id = any($1)"

_RESOLUTIONS = _TRANSFER_FIELDS + "where pending_id = any($1)"

_DUE_HOLDS = "select id from open_holds where expires_at <= $1 order by expires_at, id limit $2"

_INSERT_TRANSFERS = """
insert into transfers (bank, at, id, phase, kind, debit_account_id, credit_account_id,
                       amount_minor, currency, pending_id, expires_at, reference, how,
                       requested_minor, original_id)
select $1, $2, * from unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                             $8::bigint[], $9::text[], $10::uuid[], $11::timestamptz[],
                             $12::uuid[], $13::text[], $14::bigint[], $15::uuid[])
"""

_OPEN_HOLDS = """
insert into open_holds (bank, id, expires_at)
select $1, * from unnest($2::uuid[], $3::timestamptz[])
"""

_CLOSE_HOLDS = "delete from open_holds where id = any($1)"

_GIVE_BACK = """
insert into reversals as r (bank, original_id, original_minor, returned_minor)
select $1, * from unnest($2::uuid[], $3::bigint[], $4::bigint[])
on conflict (original_id) do update set returned_minor = r.returned_minor + excluded.returned_minor
"""

_OPEN_CASES = """
insert into shortfalls (bank, at, transfer_id, forced_id, account_id, amount_minor, currency, cause)
select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[],
                             $8::text[])
"""

# Floor accounts are already ours.
_ADD_COUNTERS = """
update accounts a
set debits_pending = a.debits_pending + d.debits_pending,
    debits_posted = a.debits_posted + d.debits_posted,
    credits_pending = a.credits_pending + d.credits_pending,
    credits_posted = a.credits_posted + d.credits_posted
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
         as d (id, debits_pending, debits_posted, credits_pending, credits_posted)
where a.id = d.id
"""

# House accounts are locked here, in id order, before the first of them is written. Counted, not
# joined: joined into the update it made plans that compare every account with every other.
_LOCK_HOUSE = """
select id, closed_at is not null as closed from accounts
where id = any($6::bigint[]) order by id for no key update
"""

_ADD_TO_HOUSE = f"""
{_ADD_COUNTERS} and (
    select count(*) from house_to_add join unnest($6::bigint[], $7::boolean[]) as h (id, closed)
                                           using (id, closed)) = cardinality($6)
"""  # noqa: S608 - of constants

_TURN = """
update accounts a
set closed_at = case when t.closed then $9::timestamptz end,
    debits_pending = a.debits_pending + t.debits_pending,
    debits_posted = a.debits_posted + t.debits_posted,
    credits_pending = a.credits_pending + t.credits_pending,
    credits_posted = a.credits_posted + t.credits_posted
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $8::boolean[])
         as t (id, debits_pending, debits_posted, credits_pending, credits_posted, closed)
where a.id = t.id and (
    select count(*) from house_to_turn join unnest($6::bigint[], $7::boolean[]) as h (id, closed)
                                            using (id, closed)) = cardinality($6)
"""
