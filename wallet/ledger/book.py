"""The book: lock, decide, write. The one place where money moves.

Promise: TigerBeetle's transfer model on PostgreSQL. `open_book` locks the floor accounts a group
touches in id order and loads holds and known transfers; `post`, `hold`, `capture`, `void` and
`expire` decide in plain Python, each seeing those before it; `write` stores everything with one
statement a table. House accounts have no floor: they are not locked while deciding, their
counters are added to at write time, again in id order. One open and one write a Work, so every
transaction locks floor accounts first and house accounts last and none waits in a circle.

    (none)  -> posted
    (none)  -> hold -> captured (up to its amount; the rest is released)
                    -> voided
                    -> expired (at or after expires_at)
    A hold is resolved once (unique index on pending_id). The same id with the same content gives
    the same answer; with other content it is declined.

Tables owned: transfers, open_holds; counters of accounts. Who calls: rooms that move money.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from wallet.identifiers import AccountId, TransferId
from wallet.ledger.transfer import (
    Account,
    Phase,
    Posted,
    Posting,
    Row,
    TransferKind,
    decide_move,
    decide_resolution,
    same_content,
)
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason
from wallet.work import Work

__all__ = ["Book", "Phase", "Posted", "Posting", "TransferKind", "due_holds", "open_book"]


class Book:
    """One group's view of the accounts it touches; written once at the end."""

    def __init__(
        self,
        work: Work,
        accounts: dict[int, Account],
        known: dict[UUID, Row],
        resolutions: dict[UUID, Row],
    ) -> None:
        self._work = work
        self._accounts = accounts
        self._known = known
        self._resolutions = resolutions
        self._new: list[Row] = []
        self._holds_opened: list[Row] = []
        self._holds_closed: list[UUID] = []
        self._written = False

    def available(self, account_id: AccountId) -> Money:
        """What a loaded floor account can still spend, the group so far included."""
        account = self._accounts[account_id]
        return Money(account.available, Currency(account.currency))

    def seen(self, transfer_id: TransferId) -> bool:
        """Whether this transfer is in the book already: asking for it again is a repeat."""
        return transfer_id in self._known

    def closed(self, account_id: AccountId) -> bool:
        """Whether a loaded account takes no more postings."""
        return self._accounts[account_id].closed

    def post(self, posting: Posting) -> Posted | Declined:
        """Move money at once.

        Declines: insufficient_funds (with available_minor), account_closed, account_not_found,
        currency_unsupported, amount_invalid, transfer_differs.
        """
        return self._begin(posting, Phase.POSTED, None)

    def hold(self, posting: Posting, expires_at: datetime) -> Posted | Declined:
        """Reserve money until `expires_at`, counted against what is available at once.

        Declines: as `post`.
        """
        return self._begin(posting, Phase.HOLD, expires_at)

    def capture(
        self, transfer_id: TransferId, hold_id: TransferId, amount_minor: int | None = None
    ) -> Posted | Declined:
        """Turn a hold into a posted transfer, whole or in part; the rest is released.

        Declines: hold_not_found, hold_already_captured, hold_already_voided, hold_expired,
        exceeds_hold, amount_invalid, transfer_differs.
        """
        return self._resolve(transfer_id, hold_id, Phase.CAPTURE, amount_minor)

    def void(self, transfer_id: TransferId, hold_id: TransferId) -> Posted | Declined:
        """Release a hold. Declines: as `capture`."""
        return self._resolve(transfer_id, hold_id, Phase.VOID, None)

    def expire(self, transfer_id: TransferId, hold_id: TransferId) -> Posted | Declined:
        """Release a hold whose moment has come. Declines: hold_not_yet_expired, as `capture`."""
        return self._resolve(transfer_id, hold_id, Phase.EXPIRY, None)

    async def write(self) -> None:
        """Store transfers, open holds and counters: one statement a table, once."""
        if self._written:
            raise AssertionError("a book is written once")
        self._written = True
        if not self._new:
            return
        work, new = self._work, self._new
        await work.rows(
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
        )
        if self._holds_opened:
            opened = self._holds_opened
            await work.execute(
                _OPEN_HOLDS,
                work.bank,
                [row.id for row in opened],
                [row.expires_at for row in opened],
            )
        if self._holds_closed:
            tag = await work.execute(_CLOSE_HOLDS, self._holds_closed)
            if tag != f"DELETE {len(self._holds_closed)}":
                raise AssertionError("a hold resolved here was not open")
        await self._write_counters()

    async def _write_counters(self) -> None:
        changed = [account for account in self._accounts.values() if any(account.deltas)]
        columns = [[account.deltas[i] for account in changed] for i in range(4)]
        house = [account.id for account in changed if not account.has_floor]
        if house:
            await self._work.rows(_LOCK_HOUSE_ACCOUNTS, house)
        tag = await self._work.execute(_ADD_COUNTERS, [account.id for account in changed], *columns)
        if tag != f"UPDATE {len(changed)}":
            raise AssertionError("not every account of the group could be written")

    def _begin(
        self, posting: Posting, phase: Phase, expires_at: datetime | None
    ) -> Posted | Declined:
        row = Row(
            id=posting.id,
            phase=phase.value,
            kind=posting.kind.value,
            debit_account_id=posting.debit,
            credit_account_id=posting.credit,
            amount_minor=posting.money.minor,
            currency=posting.money.currency.value,
            pending_id=None,
            expires_at=expires_at,
            reference=posting.reference,
        )
        if (known := self._known.get(posting.id)) is not None:
            return self._repeat(row, known)
        debit = self._accounts.get(posting.debit)
        credit = self._accounts.get(posting.credit)
        if debit is None or credit is None:
            return Declined(reason=Reason.ACCOUNT_NOT_FOUND)
        reason = decide_move(debit, credit, posting.money)
        if reason is Reason.INSUFFICIENT_FUNDS:
            return Declined(
                reason=reason,
                facts={"available_minor": debit.available, "currency": debit.currency},
            )
        if reason is not None:
            return Declined(reason=reason)
        amount = posting.money.minor
        if phase is Phase.HOLD:
            debit.add(amount, 0, 0, 0)
            credit.add(0, 0, amount, 0)
            self._holds_opened.append(row)
        else:
            debit.add(0, amount, 0, 0)
            credit.add(0, 0, 0, amount)
        return self._keep(row, debit)

    def _resolve(
        self,
        transfer_id: TransferId,
        hold_id: TransferId,
        phase: Phase,
        amount_minor: int | None,
    ) -> Posted | Declined:
        hold = self._known.get(hold_id)
        if hold is None or hold.phase != Phase.HOLD.value:
            return Declined(reason=Reason.HOLD_NOT_FOUND)
        amount = hold.amount_minor if amount_minor is None else amount_minor
        row = Row(
            id=transfer_id,
            phase=phase.value,
            kind=hold.kind,
            debit_account_id=hold.debit_account_id,
            credit_account_id=hold.credit_account_id,
            amount_minor=amount,
            currency=hold.currency,
            pending_id=hold_id,
            expires_at=None,
            reference=hold.reference,
        )
        if (known := self._known.get(transfer_id)) is not None:
            return self._repeat(row, known)
        reason = decide_resolution(
            hold, self._resolutions.get(hold_id), phase, amount, self._work.now
        )
        if reason is not None:
            return Declined(reason=reason, facts={"held_minor": hold.amount_minor})
        debit = self._accounts[hold.debit_account_id]
        credit = self._accounts[hold.credit_account_id]
        posted = amount if phase is Phase.CAPTURE else 0
        debit.add(-hold.amount_minor, posted, 0, 0)
        credit.add(0, 0, -hold.amount_minor, posted)
        self._resolutions[hold.id] = row
        opened_here = len(self._holds_opened)
        self._holds_opened = [opened for opened in self._holds_opened if opened.id != hold.id]
        if len(self._holds_opened) == opened_here:
            self._holds_closed.append(hold.id)
        return self._keep(row, debit)

    def _keep(self, row: Row, debit: Account) -> Posted:
        self._new.append(row)
        self._known[row.id] = row
        available = Money(debit.available, Currency(debit.currency)) if debit.has_floor else None
        return Posted(transfer_id=TransferId(row.id), available=available)

    def _repeat(self, row: Row, known: Row) -> Posted | Declined:
        if not same_content(row, known):
            return Declined(reason=Reason.TRANSFER_DIFFERS)
        debit = self._accounts.get(known.debit_account_id)
        available = (
            Money(debit.available, Currency(debit.currency))
            if debit is not None and debit.has_floor
            else None
        )
        return Posted(transfer_id=TransferId(known.id), available=available, repeated=True)


async def open_book(
    work: Work,
    *,
    accounts: Sequence[AccountId],
    ids: Sequence[TransferId] = (),
    holds: Sequence[TransferId] = (),
) -> Book:
    """Lock and load what a group touches.

    `accounts`: every account a new posting names. `ids`: ids of new transfers that may have been
    seen before. `holds`: holds to resolve (their accounts are found and locked with the others).
    Refuses: in_flight when an account stays locked beyond the lock time-out.
    """
    if work.bank is None:
        raise AssertionError("money moves within one bank's books")
    known: dict[UUID, Row] = {}
    resolutions: dict[UUID, Row] = {}
    wanted = set(accounts)
    if holds:
        # Locking the open rows first makes captures of one hold from several groups take turns
        # even between house accounts, which are not locked while deciding.
        await work.rows(_LOCK_OPEN_HOLDS, sorted(set(holds)))
    if holds or ids:
        for record in await work.rows(_KNOWN_TRANSFERS, list(dict.fromkeys([*ids, *holds]))):
            row = _row_of(record)
            known[row.id] = row
            wanted.update((AccountId(row.debit_account_id), AccountId(row.credit_account_id)))
    loaded = await _load_accounts(work, sorted(wanted))
    if holds:
        # Read after the locks: whoever resolved a hold before us has committed by now.
        for record in await work.rows(_RESOLUTIONS, list(holds)):
            row = _row_of(record)
            if row.pending_id is not None:
                resolutions[row.pending_id] = row
                known.setdefault(row.id, row)
    return Book(work, loaded, known, resolutions)


async def _load_accounts(work: Work, ids: list[AccountId]) -> dict[int, Account]:
    """Floor accounts locked in id order and read; house accounts read without a lock."""
    locked = await work.rows(_LOCK_FLOOR_ACCOUNTS, ids, work.bank)
    accounts = {row["id"]: Account(row) for row in locked}
    rest = [account_id for account_id in ids if account_id not in accounts]
    if rest:
        for row in await work.rows(_READ_HOUSE_ACCOUNTS, rest, work.bank):
            accounts[row["id"]] = Account(row)
    return accounts


async def due_holds(work: Work, limit: int) -> list[TransferId]:
    """Holds of the Work's bank whose moment has come, in order of expiry."""
    rows = await work.rows(_DUE_HOLDS, work.now, limit)
    return [TransferId(row["id"]) for row in rows]


def _row_of(record: Any) -> Row:
    return Row(**{name: record[name] for name in Row.__struct_fields__})


_LOCK_OPEN_HOLDS = "select id from open_holds where id = any($1) order by id for update"

_LOCK_FLOOR_ACCOUNTS = """
select id, currency, has_floor, closed_at is not null as closed,
       debits_pending, debits_posted, credits_pending, credits_posted
from accounts where id = any($1) and has_floor and bank = $2
order by id for no key update
"""

_READ_HOUSE_ACCOUNTS = """
select id, currency, has_floor, closed_at is not null as closed,
       debits_pending, debits_posted, credits_pending, credits_posted
from accounts where id = any($1) and not has_floor and bank = $2
"""

_TRANSFER_FIELDS = """id, phase, kind, debit_account_id, credit_account_id, amount_minor, currency,
       pending_id, expires_at, reference"""

_KNOWN_TRANSFERS = f"select {_TRANSFER_FIELDS} from transfers where id = any($1)"  # noqa: S608

_RESOLUTIONS = f"select {_TRANSFER_FIELDS} from transfers where pending_id = any($1)"  # noqa: S608

_DUE_HOLDS = "select id from open_holds where expires_at <= $1 order by expires_at, id limit $2"

_INSERT_TRANSFERS = """
insert into transfers (bank, at, id, phase, kind, debit_account_id, credit_account_id,
                       amount_minor, currency, pending_id, expires_at, reference)
select $1, $2, * from unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                             $8::bigint[], $9::text[], $10::uuid[], $11::timestamptz[],
                             $12::uuid[])
"""

_OPEN_HOLDS = """
insert into open_holds (bank, id, expires_at)
select $1, * from unnest($2::uuid[], $3::timestamptz[])
"""

_CLOSE_HOLDS = "delete from open_holds where id = any($1)"

# Floor accounts are already ours; house accounts are locked here, in id order, by a statement of
# its own: joined into the next one it made plans that compare every account with every other.
_LOCK_HOUSE_ACCOUNTS = "select id from accounts where id = any($1) order by id for no key update"

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
