"""The Smart ID: staff identity and bank card at once, in two states that are never mixed.

Promise: freezing the payment state never touches the identity, and salary still lands whatever
the payment state says. Valid ten years from the day it is printed for. The number is sealed in
the vault and found by its keyed hash. Tables owned: smart_ids.

The state tables, and every decision on them, stand in `states`. A freeze is lifted by whoever
froze it or by a stronger party: holder < support < bank. Who calls: applications, enrolment,
cards, access (pairing), doors.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Final

from msgspec import Struct

from wallet.clock import day_of
from wallet.database import UniqueViolation
from wallet.events import SmartIdPaymentChanged
from wallet.identifiers import BankId, HolderId, SmartIdId, last_four, luhn_valid
from wallet.outcomes import Done, GroupAnswer, Reason, Refused
from wallet.registry.banks import PHYSICAL, named
from wallet.registry.states import (
    IdentityState,
    Party,
    PaymentState,
    SmartId,
    decide_block,
    decide_by_date,
    decide_freeze,
    decide_identity,
    decide_let_cards_go_on,
    decide_unfreeze,
    expiry_of,
)
from wallet.vault import Plain, Vault, cards_scope
from wallet.work import Actor, Work

__all__ = [
    "NUMBER_INDEX",
    "IdentityState",
    "Party",
    "PaymentState",
    "SealedNumber",
    "SmartId",
    "advance",
    "block",
    "bring_in",
    "by_id",
    "by_number",
    "by_number_index",
    "expire_due",
    "expiry_of",
    "freeze_payment",
    "let_cards_go_on",
    "of_holder",
    "of_holders",
    "print_cards",
    "seal_numbers",
    "unfreeze_payment",
]

NUMBER_INDEX: Final = "smart_id.number"
"""The purpose of the keyed hash that Smart ID numbers are found by."""

CHANGED_JOB: Final = "smart_id.changed"
"""Wanted when the payment state changes, {bank, holder_id}: what hangs on it follows."""


class SealedNumber(Struct, frozen=True, kw_only=True):
    """A Smart ID's number as it lies in the table."""

    sealed: bytes
    index: bytes
    last_four: str


# finding


async def by_id(work: Work, smart_id_id: SmartIdId) -> SmartId | None:
    return _by_date(work, await work.struct(SmartId, _BY_ID, smart_id_id))


async def of_holders(work: Work, holder_ids: Sequence[HolderId]) -> dict[HolderId, SmartId]:
    """Each person's valid Smart ID, or else the newest one there is."""
    found = await work.structs(SmartId, _OF_HOLDERS, list(holder_ids))
    today = day_of(work.now)
    return {smart_id.holder_id: decide_by_date(smart_id, today) for smart_id in found}


async def of_holder(work: Work, holder_id: HolderId) -> SmartId | None:
    return (await of_holders(work, [holder_id])).get(holder_id)


async def by_number_index(work: Work, index: bytes) -> SmartId | None:
    return _by_date(work, await work.struct(SmartId, _BY_INDEX, index))


async def by_number(work: Work, vault: Vault, number: str) -> SmartId | None:
    """The Smart ID with this printed number, if the Work's bank may see it."""
    return await by_number_index(work, vault.blind_index(NUMBER_INDEX, number))


async def valid_by_number(work: Work, vault: Vault, number: str) -> SmartId:
    """The Smart ID with this printed number, as proof of who its holder is.

    Refuses: NOT_FOUND, SMART_ID_NOT_ACTIVE (not handed over yet, expired or revoked).
    """
    smart_id = await by_number(work, vault, number)
    if smart_id is None:
        raise Refused(Reason.NOT_FOUND)
    if smart_id.identity_state is not IdentityState.VALID:
        raise Refused(Reason.SMART_ID_NOT_ACTIVE)
    return smart_id


def _by_date(work: Work, smart_id: SmartId | None) -> SmartId | None:
    return None if smart_id is None else decide_by_date(smart_id, day_of(work.now))


_COLUMNS: Final = """id, bank, holder_id, identity_state, payment_state, last_four, frozen_by,
       cards_kept, issued_on, expires_on"""
_BY_ID: Final = f"select {_COLUMNS} from smart_ids where id = $1"  # noqa: S608 - constants
_BY_INDEX: Final = f"select {_COLUMNS} from smart_ids where number_index = $1"  # noqa: S608 - of constants
_OF_HOLDERS: Final = f"""
select distinct on (holder_id) {_COLUMNS}
from smart_ids where holder_id = any($1::uuid[])
order by holder_id, identity_state = 'VALID' desc, changed_at desc, id desc
"""  # noqa: S608 - of constants


# making


async def bring_in(
    work: Work, smart_ids: Sequence[SmartId], numbers: Mapping[SmartIdId, SealedNumber]
) -> None:
    """Write Smart IDs down in any state, printed ones with their numbers; a known id is left alone.

    Refuses: CONFLICT when a number is taken, or the person has one in that state already.
    """
    taken = [numbers.get(s.id) for s in smart_ids]
    try:
        await work.execute(
            _BRING_IN,
            [s.id for s in smart_ids],
            [s.bank for s in smart_ids],
            [s.holder_id for s in smart_ids],
            [number.sealed if number else None for number in taken],
            [number.index if number else None for number in taken],
            [number.last_four if number else None for number in taken],
            [s.identity_state.value for s in smart_ids],
            [s.payment_state.value for s in smart_ids],
            [s.frozen_by.value if s.frozen_by else None for s in smart_ids],
            [s.cards_kept for s in smart_ids],
            [s.issued_on for s in smart_ids],
            [s.expires_on for s in smart_ids],
            work.now,
        )
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="smart_id") from None


_BRING_IN: Final = """
insert into smart_ids (id, bank, holder_id, number_sealed, number_index, last_four,
                       identity_state, payment_state, frozen_by, cards_kept, issued_on, expires_on,
                       changed_at)
select fresh.*, $13
from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::bytea[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::boolean[], $11::date[], $12::date[]) as fresh
on conflict (id) do nothing
"""


async def seal_numbers(
    work: Work, vault: Vault, bank: BankId, day: date, numbers: Mapping[SmartIdId, str]
) -> dict[SmartIdId, SealedNumber]:
    """Seal printed numbers for their rows, under the key of `bank` and the month of `day`.

    Refuses: INVALID_REQUEST when a number is not Luhn-valid in the bank's range.
    """
    beginning = named(bank).iin + PHYSICAL
    if not all(_belongs(number, beginning) for number in numbers.values()):
        raise Refused(Reason.INVALID_REQUEST, field="number")
    scope = cards_scope(bank, day)
    ids = list(numbers)
    sealed = await vault.seal_many(
        work,
        [
            Plain(
                scope=scope,
                table="smart_ids",
                column="number_sealed",
                row_id=smart_id_id,
                plaintext=numbers[smart_id_id].encode(),
            )
            for smart_id_id in ids
        ],
    )
    return {
        smart_id_id: SealedNumber(
            sealed=value,
            index=vault.blind_index(NUMBER_INDEX, numbers[smart_id_id]),
            last_four=last_four(numbers[smart_id_id]),
        )
        for smart_id_id, value in zip(ids, sealed, strict=True)
    }


def _belongs(number: str, beginning: str) -> bool:
    return len(number) == 16 and number.startswith(beginning) and luhn_valid(number)


# the identity's way


async def advance(work: Work, smart_id_ids: Sequence[SmartIdId], to: IdentityState) -> None:
    """Move a group one step on its way (not to PRINTED: that is `print_cards`).

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (the whole group).
    """
    if to is IdentityState.PRINTED:
        raise Refused(Reason.ILLEGAL_TRANSITION, wanted=to.value)
    held = await _locked(work, smart_id_ids)
    after = [decide_identity(smart_id, to) for smart_id in held.values()]
    ids, payments = [s.id for s in after], [s.payment_state.value for s in after]
    await work.execute(_STEP, ids, to.value, payments, work.now)
    if to is IdentityState.SENT_TO_BANK:
        await work.execute(_PRINTED_ANEW, ids)
    for smart_id in after:
        work.note(f"smart_id.{to.value.lower()}", str(smart_id.id), holder_id=smart_id.holder_id)
        if smart_id.payment_state is not held[smart_id.id].payment_state:
            _tell(work, smart_id, to.value.lower())


_STEP: Final = """
update smart_ids set identity_state = $2, payment_state = fresh.payment, frozen_by = null,
       cards_kept = false, changed_at = $4
from unnest($1::uuid[], $3::text[]) as fresh (id, payment)
where smart_ids.id = fresh.id
"""

_PRINTED_ANEW: Final = """
update smart_ids set number_sealed = null, number_index = null, last_four = null, issued_on = null,
       expires_on = null
where id = any($1::uuid[])
"""
"""Sent back to the bank: the number printed wrong is nobody's."""


async def expire_due(work: Work, limit: int) -> int:
    """End up to `limit` Smart IDs of the Work's bank whose last day is over; readers treat them as
    ended already. Answers how many. Refuses: nothing."""
    rows = await work.rows(_DUE, day_of(work.now), limit)
    if rows:
        await advance(work, [SmartIdId(row["id"]) for row in rows], IdentityState.EXPIRED)
    return len(rows)


_DUE: Final = """
select id from smart_ids where identity_state = 'VALID' and expires_on < $1
 order by id limit $2 for update skip locked
"""


async def print_cards(
    work: Work, vault: Vault, bank: BankId, numbers: Mapping[SmartIdId, str]
) -> None:
    """The bank printed these: each gets its 16-digit number and its ten years from today.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION, INVALID_REQUEST (number), CONFLICT (number taken).
    """
    held = await _locked(work, list(numbers))
    for smart_id in held.values():
        decide_identity(smart_id, IdentityState.PRINTED)
    today = day_of(work.now)
    sealed = await seal_numbers(work, vault, bank, today, numbers)
    ids = list(sealed)
    try:
        await work.execute(
            _PRINT,
            ids,
            [sealed[i].sealed for i in ids],
            [sealed[i].index for i in ids],
            [sealed[i].last_four for i in ids],
            today,
            expiry_of(today),
            work.now,
        )
    except UniqueViolation:
        raise Refused(Reason.CONFLICT, field="number") from None
    for smart_id in held.values():
        work.note("smart_id.printed", str(smart_id.id), holder_id=smart_id.holder_id)


_PRINT: Final = """
update smart_ids set identity_state = 'PRINTED', number_sealed = fresh.sealed,
       number_index = fresh.index, last_four = fresh.last_four, issued_on = $5, expires_on = $6,
       changed_at = $7
from unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::text[])
     as fresh (id, sealed, index, last_four)
where smart_ids.id = fresh.id
"""


# the payment state


async def freeze_payment(
    work: Work,
    smart_id_ids: Sequence[SmartIdId],
    *,
    by: Party,
    keep_cards: bool = False,
    actors: Sequence[Actor] | None = None,
    reason: str | None = None,
) -> list[GroupAnswer]:
    """Stop paying with these; a stronger party takes over a weaker one's freeze. Their virtual
    cards stop too, unless their holder freezes them and keeps those (`keep_cards`).

    Already frozen is Done, not an error: freezing is the safe side. One answer each.
    Refuses (in the answer): NOT_FOUND, SMART_ID_NOT_ACTIVE, SMART_ID_CARDS_STOPPED, FORBIDDEN (to
    keep cards that a stronger party stopped).
    """
    decide = partial(decide_freeze, keep_cards=keep_cards)
    return await _change(work, smart_id_ids, _Turn("freeze", by, actors, reason, decide))


async def unfreeze_payment(
    work: Work,
    smart_id_ids: Sequence[SmartIdId],
    *,
    by: Party,
    actors: Sequence[Actor] | None = None,
    reason: str | None = None,
) -> list[GroupAnswer]:
    """Let these pay again. One answer each.

    Refuses (in the answer): NOT_FOUND, SMART_ID_NOT_ACTIVE, FORBIDDEN (a stronger party froze it).
    """
    return await _change(work, smart_id_ids, _Turn("unfreeze", by, actors, reason, decide_unfreeze))


async def let_cards_go_on(
    work: Work, smart_id_ids: Sequence[SmartIdId], *, actors: Sequence[Actor] | None = None
) -> list[GroupAnswer]:
    """Let the virtual cards of these pay again, while their holders keep them frozen. One answer
    each.

    Refuses (in the answer): NOT_FOUND, SMART_ID_NOT_ACTIVE, FORBIDDEN (a stronger party froze it).
    """

    def decide(smart_id: SmartId, by: Party) -> SmartId:
        return decide_let_cards_go_on(smart_id)

    turn = _Turn("let_cards_go_on", Party.HOLDER, actors, None, decide)
    return await _change(work, smart_id_ids, turn)


async def block(
    work: Work,
    smart_id_ids: Sequence[SmartIdId],
    *,
    by: Party,
    actors: Sequence[Actor] | None = None,
    reason: str | None = None,
) -> list[GroupAnswer]:
    """Stop paying with these for good; the identity stays. One answer each.

    Refuses (in the answer): NOT_FOUND, FORBIDDEN to the holder.
    """
    return await _change(work, smart_id_ids, _Turn("block", by, actors, reason, decide_block))


class _Turn(Struct, frozen=True):
    name: str
    by: Party
    actors: Sequence[Actor] | None
    reason: str | None
    decide: Callable[[SmartId, Party], SmartId]


async def _change(work: Work, smart_id_ids: Sequence[SmartIdId], turn: _Turn) -> list[GroupAnswer]:
    rows = await work.structs(SmartId, _LOCK, list(smart_id_ids))
    held = {smart_id.id: smart_id for smart_id in rows}
    changed: set[SmartIdId] = set()
    answers: list[GroupAnswer] = []
    for place, smart_id_id in enumerate(smart_id_ids):
        before = held.get(smart_id_id)
        if before is None:
            answers.append(Refused(Reason.NOT_FOUND, field="smart_id"))
            continue
        try:
            after = turn.decide(before, turn.by)
        except Refused as refused:
            answers.append(refused)
            continue
        held[smart_id_id] = after
        answers.append(Done(answer=after.view()))
        if after != before:
            changed.add(smart_id_id)
            actor = turn.actors[place] if turn.actors else None
            _record(work, before, after, turn, actor)
    if changed:
        await _write_payment(work, [held[smart_id_id] for smart_id_id in sorted(changed)])
    return answers


def _record(work: Work, before: SmartId, after: SmartId, turn: _Turn, actor: Actor | None) -> None:
    work.note(
        f"smart_id.{turn.name}",
        str(after.id),
        holder_id=after.holder_id,
        actor=actor,
        reason=turn.reason or ("its virtual cards go on" if after.cards_kept else None),
    )
    was = before.payment_state, before.cards_kept
    if (after.payment_state, after.cards_kept) != was:
        _tell(work, after, turn.by.value.lower())


def _tell(work: Work, smart_id: SmartId, cause: str) -> None:
    work.later(CHANGED_JOB, {"bank": smart_id.bank, "holder_id": str(smart_id.holder_id)})
    work.emit(
        SmartIdPaymentChanged(
            holder_id=smart_id.holder_id,
            state=smart_id.payment_state.value,
            cause=cause,
            cards_kept=smart_id.cards_kept,
        )
    )


async def _write_payment(work: Work, after: Sequence[SmartId]) -> None:
    await work.execute(
        _SET_PAYMENT,
        [s.id for s in after],
        [s.payment_state.value for s in after],
        [s.frozen_by.value if s.frozen_by else None for s in after],
        [s.cards_kept for s in after],
        work.now,
    )


_SET_PAYMENT: Final = """
update smart_ids set payment_state = fresh.payment, frozen_by = fresh.frozen_by,
       cards_kept = fresh.cards_kept, changed_at = $5
from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[])
     as fresh (id, payment, frozen_by, cards_kept)
where smart_ids.id = fresh.id
"""


async def _locked(work: Work, smart_id_ids: Sequence[SmartIdId]) -> dict[SmartIdId, SmartId]:
    rows = await work.structs(SmartId, _LOCK, list(smart_id_ids))
    if len(rows) != len(set(smart_id_ids)):
        raise Refused(Reason.NOT_FOUND, field="smart_id")
    return {smart_id.id: smart_id for smart_id in rows}


_LOCK: Final = f"""
select {_COLUMNS} from smart_ids where id = any($1::uuid[]) order by id for update
"""  # noqa: S608 - of constants
