"""Delivering a top-up: marking it sent, calling the operator, believing only what is certain.

Promise: a top-up is sent at most once. It is committed as SENT before the call, and one found in
SENT by anybody else is only ever looked up. What a time-out leaves open is asked for by reference
until it is known, and the holder has the money back within a day. Airtime delivered after we gave
the money back opens a recovery, never a debit; airtime taken back is credited by a new transfer.

Tables owned: topups (through entering). Calls to the operator are made outside any Work.
Who calls: runtime's worker (jobs topup.submit, topup.lookup, topup.recheck, the resume round) and
whoever receives an operator's callback.
"""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet.identifiers import BankId, TopupId
from wallet.jobs import Again
from wallet.outcomes import Done
from wallet.teller import Teller
from wallet.topups.entering import ENTERING, MARKING, Heard, Marking
from wallet.topups.operators import Answer, Failure, NotSent, OperatorPort, Owner, Unknown
from wallet.topups.products import BY_CODE
from wallet.topups.reading import Topup, by_id
from wallet.topups.states import IN_DOUBT, UNRESOLVED, Patience, State
from wallet.work import WORKER, Work, Works

RESUME_MOST: Final = 200


class Desk(Struct, frozen=True, kw_only=True):
    """What delivering needs of its process."""

    works: Works
    teller: Teller
    operators: OperatorPort
    patience: Patience = Patience()


async def submit(desk: Desk, bank: BankId, topup_id: TopupId) -> None:
    """Send a held top-up, once, and enter what the operator said (job topup.submit).

    One that is already past HELD is looked up instead: an earlier run may have sent it.
    Raises: Again while the outcome is open and this call did not send it.
    """
    row = await _load(desk, bank, topup_id)
    if row is None or row.state not in UNRESOLVED:
        return
    if row.state is not State.HELD:
        await lookup(desk, bank, topup_id)
        return
    found = await desk.operators.lookup(row.msisdn)
    if isinstance(found, Owner) and found.operator != row.operator:
        await _enter(desk, bank, topup_id, NotSent(failure=Failure.WRONG_OPERATOR))
        return
    started = asyncio.get_running_loop().time()
    marked = await desk.teller.ask(
        MARKING, bank, Marking(topup_id=topup_id, patience=desk.patience)
    )
    match marked:
        case Done(answer={"send": True}):
            slept_s = asyncio.get_running_loop().time() - started
            answer = await _send(desk, row, slept_s)
            await _enter(desk, bank, topup_id, answer, sent_now=True)
        case Done(answer={"too_old": True}):
            await _enter(desk, bank, topup_id, NotSent(failure=Failure.OPERATOR_SILENT))
        case _:
            await lookup(desk, bank, topup_id)


async def lookup(desk: Desk, bank: BankId, topup_id: TopupId) -> None:
    """Ask the operator what became of a sent top-up and enter it (job topup.lookup).

    Raises: Again, with the pause to make, while the outcome stays open.
    """
    row = await recheck(desk, bank, topup_id)
    if row is not None and row.state in IN_DOUBT:
        raise Again(desk.patience.pause_after(row.lookups).total_seconds())


async def recheck(desk: Desk, bank: BankId, topup_id: TopupId) -> Topup | None:
    """Look once, in any state that was sent (job topup.recheck): endings may have been amended."""
    row = await _load(desk, bank, topup_id)
    if row is None or row.sent_at is None:
        return row
    answer = await desk.operators.get_by_ref(str(topup_id))
    await _enter(desk, bank, topup_id, answer)
    return await _load(desk, bank, topup_id)


async def hinted(works: Works, topup_id: TopupId) -> None:
    """A callback named this reference: look it up soon. Hints decide nothing themselves, so a
    lost, repeated, reordered or lying one does no harm."""

    async def act(work: Work) -> None:
        bank = await work.value(_BANK_OF, topup_id)
        if bank is not None:
            work.later("topup.recheck", _payload(bank, topup_id))

    await works.perform(WORKER, None, act)


async def resume(works: Works, bank: BankId, idle: timedelta = timedelta(minutes=15)) -> int:
    """Want jobs anew for unresolved top-ups nothing has happened to for `idle`: their job may
    have died while PostgreSQL or the operator was away. Answers how many."""

    async def act(work: Work) -> int:
        rows = await work.rows(_IDLE, work.now - idle, RESUME_MOST)
        for row in rows:
            name = "topup.submit" if row["state"] == State.HELD.value else "topup.lookup"
            # One an hour: a job that waits for an operator to be configured is not piled up on.
            dedupe = f"topup.resume:{row['id']}:{work.now:%Y%m%d%H}"
            work.later(name, _payload(bank, row["id"]), dedupe=dedupe)
        return len(rows)

    return await works.perform(WORKER, bank, act)


async def _send(desk: Desk, row: Topup, slept_s: float) -> Answer:
    """Call the operator, unless this process slept between marking and calling for so long that
    others may by now take the silence for an answer."""
    if slept_s >= desk.patience.sending_s:
        return Unknown()
    return await desk.operators.submit(
        str(row.id), BY_CODE[row.product].provider_product, row.msisdn, row.delivered
    )


async def _enter(
    desk: Desk,
    bank: BankId,
    topup_id: TopupId,
    answer: Answer | NotSent,
    *,
    sent_now: bool = False,
) -> None:
    heard = Heard(topup_id=topup_id, answer=answer, patience=desk.patience, sent_now=sent_now)
    await desk.teller.ask(ENTERING, bank, heard)


async def _load(desk: Desk, bank: BankId, topup_id: TopupId) -> Topup | None:
    async def query(work: Work) -> Topup | None:
        return await by_id(work, topup_id)

    return await desk.works.read(WORKER, bank, query)


def _payload(bank: str, topup_id: UUID) -> dict[str, str]:
    return {"bank": bank, "topup_id": str(topup_id)}


_BANK_OF = "select bank from topups where id = $1"

_IDLE = """
select id, state from topups
where state in ('HELD', 'SENT', 'UNKNOWN') and updated_at <= $1
order by updated_at limit $2
"""
