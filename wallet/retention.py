"""How long what was needed for a moment is kept: one rule a table, all of them here.

Promise: nothing goes that could still be asked for, repeated or disputed. Every period has a least
that the rule below gives its reason for, and no setting goes under it; what belongs to a
transaction in an open case stays whatever its age. Rows go oldest first, a few at a time, each few
in a transaction of their own that waits for nobody's lock, with pauses between; stopped at any line
it goes on where it was. The room that owns a table is the one that deletes.

What is not named here is kept for good or has an end of its own: the journal, the audit, events,
cases, cards and payroll; jobs end when done, public holidays and terms are few.

Owns no table. Who calls: runtime's worker (the job), settings (reading periods).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from msgspec import Struct

from wallet import repeats
from wallet.access import challenges, intents, machines, pairings, sessions, staff_sessions
from wallet.cards import atm_rows
from wallet.disputes import cases
from wallet.disputes.cases import DISPUTABLE_FOR
from wallet.identifiers import BankId
from wallet.limits import counting
from wallet.work import WORKER, Work, Works

JOB: Final = "retention.sweep"
EVERY: Final = timedelta(hours=1)
BATCH: Final = 500
PAUSE_S: Final = 0.05
"""Between two batches: a sweep is never in a hurry."""

Forget = Callable[[Work, datetime, int, Sequence[UUID]], Awaitable[int]]
"""Drop up to so many rows from before a moment, but for those of these transactions."""

EVIDENCE_DAYS: Final = DISPUTABLE_FOR.days + 60
"""A holder may dispute for so long, and a case takes its time; an open one keeps its own."""


class Rule(Struct, frozen=True, kw_only=True):
    """A table's rule: kept `days`, and never less than `least`, because `why`."""

    table: str
    days: int
    least: int
    why: str
    forget: Forget


def _by_age(forget: Callable[[Work, datetime, int], Awaitable[int]]) -> Forget:
    return lambda work, before, most, _: forget(work, before, most)


RULES: Final = (
    Rule(
        table="intents",
        days=400,
        least=EVIDENCE_DAYS,
        why="what was shown and signed answers a dispute; it lived for two minutes",
        forget=intents.forget,
    ),
    Rule(
        table="otp_challenges",
        days=400,
        least=EVIDENCE_DAYS,
        why="that a code was sent and used answers a dispute; it was good for two minutes",
        forget=challenges.forget,
    ),
    Rule(
        table="sessions",
        days=30,
        least=1,
        why="a session reads for twelve hours at the most",
        forget=_by_age(sessions.forget),
    ),
    Rule(
        table="staff_sessions",
        days=30,
        least=1,
        why="a session of staff is over after eight hours",
        forget=_by_age(staff_sessions.forget),
    ),
    Rule(
        table="pairings",
        days=400,
        least=EVIDENCE_DAYS,
        why="how a phone came to sign answers a dispute; a code was good for ten minutes",
        forget=_by_age(pairings.forget),
    ),
    Rule(
        table="idempotency",
        days=30,
        least=10,
        why="an app asks again for a day, a host after a long holiday; behind the key stands what "
        "each act refuses by its own tables",
        forget=_by_age(repeats.forget),
    ),
    Rule(
        table="machine_nonces",
        days=1,
        least=1,
        why="a signature is fresh for a minute, and a nonce is kept ten",
        forget=_by_age(machines.forget_nonces),
    ),
    Rule(
        table="atm_card_requests",
        days=400,
        least=EVIDENCE_DAYS,
        why="what a machine asked for answers a dispute; a local date is taken for a day either "
        "side, so an old reference makes nothing anew",
        forget=_by_age(atm_rows.forget),
    ),
    Rule(
        table="limit_counters",
        days=counting.KEPT.days,
        least=counting.KEPT.days,
        why="a month's window and the longest hold that may give back to it",
        forget=_by_age(counting.forget),
    ),
)

Periods = Mapping[str, int]
"""Days by table, where they are others than the rules'."""


def read_periods(text: str) -> dict[str, int]:
    """Periods as settings write them: `intents=500,idempotency=45`. Raises ValueError, saying what
    would be right: an unknown table, no whole number, less than the least."""
    rules = {rule.table: rule for rule in RULES}
    found: dict[str, int] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        table, _, days = (piece.strip() for piece in part.partition("="))
        rule = rules.get(table)
        if rule is None or table in found:
            raise ValueError(f"must name tables once each, of {', '.join(rules)}, not {table!r}")
        if not (days.isascii() and days.isdigit() and rule.least <= int(days) <= 36_500):
            raise ValueError(f"{table} must be kept for {rule.least} days or more: {rule.why}")
        found[table] = int(days)
    return found


async def want(works: Works, bank: BankId) -> None:
    """See to it that a bank's sweep is on the worker's list, once."""

    async def act(work: Work) -> None:
        work.later(JOB, {"bank": bank}, dedupe=f"{JOB}:{bank}")

    await works.perform(WORKER, bank, act)


async def sweep(
    works: Works,
    bank: BankId,
    periods: Periods = MappingProxyType({}),
    *,
    most: int = BATCH,
    pause_s: float = PAUSE_S,
) -> dict[str, int]:
    """Drop all that is over in one bank's books, `most` rows a transaction; answers how many of
    each table. What stands in no bank's books goes with whichever bank comes first."""
    return {
        rule.table: await _sweep(
            works, bank, rule, periods.get(rule.table, rule.days), most, pause_s
        )
        for rule in RULES
    }


async def _sweep(
    works: Works, bank: BankId, rule: Rule, days: int, most: int, pause_s: float
) -> int:
    kept = timedelta(days=max(days, rule.least))

    async def batch(work: Work) -> int:
        spared = await cases.in_dispute(work)
        return await rule.forget(work, work.now - kept, most, spared)

    gone = 0
    while dropped := await works.perform(WORKER, bank, batch):
        gone += dropped
        if dropped < most:
            break
        await asyncio.sleep(pause_s)
    return gone
