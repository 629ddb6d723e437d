"""Reports on a version: what it changes in shadow, and what it would have changed on history.

Promise: told in sums only (a bank's staff see no holder, card or shop here, and their role in the
database may read none: `made` reads with the house's own); in shadow, what was
written down of live purchases while it was there; on history, each stored purchase decided anew in
its order (replay), with what was counted before the days told of warming the counters up.

    would decline   it was counted, and this version declines it
    would allow     this party's own sheet declined it, and this version does not

Owns no table (control_evaluations, control_shadows). Who calls: the banks' door.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from wallet.clock import day_of, midnight_of
from wallet.controls import versions
from wallet.controls.deciding import SetBy, compiled
from wallet.controls.records import Evaluation, read_back
from wallet.controls.replay import Replay, Verdict
from wallet.controls.versions import Version
from wallet.identifiers import BankId
from wallet.limits import Window
from wallet.money import Currency
from wallet.outcomes import Reason, Refused
from wallet.work import Actor, ActorKind, Work, Works

PAGE: Final = 1_000
MOST: Final = 100_000
"""How many stored steps one report looks at; more, and it says it is not complete."""


class Line(Struct, frozen=True, kw_only=True):
    """Purchases that would go otherwise for one reason, in one currency. `cards`: how many."""

    reason: Reason | None
    rule: str | None
    currency: Currency
    purchases: int
    cards: int
    amount_minor: int


class Report(Struct, frozen=True, kw_only=True):
    """`purchases`: how many were looked at. Not `complete`: there were more than are looked at."""

    version: int
    since: datetime
    until: datetime
    purchases: int
    would_decline: list[Line]
    would_allow: list[Line]
    complete: bool = True


async def made(
    works: Works, actor: Actor, bank: BankId, report: Callable[[Work], Awaitable[Report]]
) -> Report:
    """A report of this bank for its clerk, who may not read what it is made of: the wall around
    the bank stays, the role is the house's. Refuses: what the report refuses."""
    return await works.read(actor, bank, report, as_caller=ActorKind.SYSTEM)


async def in_shadow(work: Work, version_id: UUID, subject: UUID) -> Report:
    """What a version changed, or would have, on live purchases while it was in shadow.

    Refuses: NOT_FOUND, ILLEGAL_TRANSITION (it never was in shadow).
    """
    version = await versions.find(work, version_id, subject)
    since = version.shadowed_at
    if since is None:
        raise Refused(Reason.ILLEGAL_TRANSITION, state=version.state.value)
    until = min(filter(None, (version.promoted_at, version.ended_at)), default=work.now)
    lines = await work.rows(_SHADOW_LINES, version.id)
    return Report(
        version=version.version,
        since=since,
        until=until,
        purchases=await work.value(_LOOKED_AT, *_whose(version), since, until),
        would_decline=[_line(row) for row in lines if row["would"] == "decline"],
        would_allow=[_line(row) for row in lines if row["would"] == "approve"],
    )


async def on_history(work: Work, version_id: UUID, subject: UUID, days: int) -> Report:
    """What a version would have changed on the purchases of the last `days` Phnom Penh days, today
    among them, had it been in force (its own counting from nothing; `replay`).

    Refuses: NOT_FOUND.
    """
    version = await versions.find(work, version_id, subject)
    since = midnight_of(day_of(work.now) - timedelta(days=days - 1))
    replayed = Replay(compiled(version.set_by, version.body))
    told = _Told()
    seen = 0
    async for evaluation in _evaluations(work, version, _warm_from(version, since)):
        seen += 1
        verdict = replayed.step(evaluation)
        if verdict is not None and evaluation.at >= since:
            told.add(verdict)
    return Report(
        version=version.version,
        since=since,
        until=work.now,
        purchases=told.purchases,
        would_decline=told.lines(told.declined),
        would_allow=told.lines(told.allowed),
        complete=seen < MOST,
    )


def _warm_from(version: Version, since: datetime) -> datetime | None:
    """From when on purchases count towards a window of the days told of; None: from the first."""
    if any(one.window is Window.LIFETIME for one in version.sheet.spend):
        return None
    return midnight_of(day_of(since).replace(day=1))


async def _evaluations(
    work: Work, version: Version, since: datetime | None
) -> AsyncIterator[Evaluation]:
    after = 0 if since is None else await work.value(_BEFORE, since)
    seen = 0
    while seen < MOST:
        rows = await work.rows(_PAGE, *_whose(version), since, after, PAGE)
        for row in rows:
            yield read_back(row)
        if len(rows) < PAGE:
            return
        after, seen = rows[-1]["seq"], seen + len(rows)
        await asyncio.sleep(0)  # let others of this process go on


def _whose(version: Version) -> tuple[UUID | None, UUID | None]:
    """The holder or the card a sheet is about; neither: the bank's."""
    holder = version.subject if version.set_by is SetBy.HOLDER else None
    return holder, version.subject if version.set_by is SetBy.CARD else None


Sort = tuple[Reason | None, str | None, Currency]


class _Told:
    def __init__(self) -> None:
        self.purchases = 0
        self.declined: dict[Sort, list[Evaluation]] = defaultdict(list)
        self.allowed: dict[Sort, list[Evaluation]] = defaultdict(list)

    def add(self, verdict: Verdict) -> None:
        self.purchases += 1
        evaluation = verdict.evaluation
        currency = evaluation.amount.currency
        if verdict.reason is not None and evaluation.reason is None:
            self.declined[verdict.reason, verdict.rule, currency].append(evaluation)
        elif verdict.reason is None and evaluation.reason is not None:
            self.allowed[None, None, currency].append(evaluation)

    def lines(self, told: dict[Sort, list[Evaluation]]) -> list[Line]:
        return [
            Line(
                reason=reason,
                rule=rule,
                currency=currency,
                purchases=len(several),
                cards=len({one.purchase.card_id for one in several}),
                amount_minor=sum(one.amount.minor for one in several),
            )
            for (reason, rule, currency), several in sorted(
                told.items(), key=lambda item: -len(item[1])
            )
        ]


def _line(row: Any) -> Line:
    return Line(
        reason=None if row["reason"] is None else Reason(row["reason"]),
        rule=row["rule"],
        currency=Currency(row["currency"]),
        purchases=row["purchases"],
        cards=row["cards"],
        amount_minor=int(row["amount_minor"]),
    )


_SHADOW_LINES: Final = """
select would, reason, rule, currency, count(*) as purchases, count(distinct card_id) as cards,
       sum(amount_minor) as amount_minor
from control_shadows where sheet_id = $1
group by would, reason, rule, currency order by purchases desc, reason, rule, currency
"""

_LOOKED_AT: Final = """
select count(*) from control_evaluations
where step = 'decided' and ($1::uuid is null or holder_id = $1)
  and ($2::uuid is null or card_id = $2) and at >= $3 and at <= $4
"""

# Not `min(seq)`: the planner would walk the rows from the first one on.
_BEFORE: Final = "select coalesce(min(seq + 0), 0) - 1 from control_evaluations where at >= $1"

_PAGE: Final = """
select * from control_evaluations
where ($1::uuid is null or holder_id = $1) and ($2::uuid is null or card_id = $2)
  and ($3::timestamptz is null or at >= $3) and seq > $4
order by seq limit $5
"""
