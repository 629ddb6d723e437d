"""Which act does which durable job: the one table of the worker.

Promise: a job whose partner is not configured waits, it is not lost. Called by runtime.worker.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from api.resources import Resources
from runtime.operators import HttpOperators
from runtime.token_service import HttpTokenService
from wallet import operations, retention, topups
from wallet.access import challenges, emergency, numbers, sending, telling
from wallet.access.challenges import SmsPort
from wallet.access.sending import Channels
from wallet.authorisations.expiring import expire_due
from wallet.cards import changing, control, following, tokenising, undo
from wallet.identifiers import BankId, CardId, HolderId, SalaryRunId, Secret, TopupId
from wallet.jobs import Again, Job
from wallet.ledger import checkpoints, days
from wallet.outcomes import Refused
from wallet.registry import holders, smart_ids
from wallet.salary import runs
from wallet.salary.check import check
from wallet.salary.pay import pay
from wallet.work import WORKER, Work

Handler = Callable[[Job], Awaitable[None]]

EXPIRE_TOGETHER: Final = 200
CONFIGURE_PAUSE_S: Final = 60.0
FAULT_PAUSE_S: Final = 60.0
DIFFERENCE_PAUSE_S: Final = 300.0
"""A day that does not close is tried again; `smartid day close` tells the difference at once."""

_alarm: Final = logging.getLogger("smartid.alarm")
_log: Final = logging.getLogger("smartid.handlers")


def handlers(
    resources: Resources,
    operators: HttpOperators | None,
    channels: Channels,
    patience: topups.Patience,
    token_service: HttpTokenService | None = None,
    periods: retention.Periods = MappingProxyType({}),
) -> dict[str, Handler]:
    """Every job's name and what does it."""
    desk = None
    if operators is not None:
        desk = topups.Desk(
            works=resources.works,
            teller=resources.teller,
            operators=operators,
            patience=patience,
        )
    token_desk = None
    if token_service is not None:
        token_desk = tokenising.TokenDesk(
            works=resources.works, vault=resources.vault, service=token_service
        )
    return {
        runs.CHECK_JOB: partial(_check_salary, resources),
        runs.PAY_JOB: partial(_pay_salary, resources),
        "topup.submit": partial(_topup, desk, topups.submit),
        "topup.lookup": partial(_topup, desk, topups.lookup),
        "topup.recheck": partial(_topup, desk, topups.recheck),
        challenges.SEND: partial(_send_code, resources, channels),
        numbers.TELL: partial(_tell, resources, channels.sms),
        smart_ids.CHANGED_JOB: partial(_follow, resources),
        changing.TOKENS_JOB: partial(_settle_tokens, token_desk),
        undo.JOB: partial(_lapse_claim, resources),
        days.CLOSE_JOB: partial(_close_day, resources),
        emergency.ALARM_JOB: partial(_ring_alarm, resources),
        operations.SETTLE_JOB: partial(_settle_shortfall, resources),
        retention.JOB: partial(_sweep, resources, periods),
    }


async def rounds(resources: Resources, bank: BankId) -> None:
    """What may have been left lying in one bank: idle top-ups, its first business day, the
    checkpoints of its journal, what is over by date (Smart IDs after ten years, cards after their
    month, purchases nobody took), and the job that sweeps."""
    await topups.resume(resources.works, bank)
    await tokenising.resume(resources.works, bank)
    await retention.want(resources.works, bank)
    await days.open_first(resources.works, bank)
    await checkpoints.keep_up(resources.works, bank)

    async def expire(work: Work) -> int:
        return await control.expire_due(work, EXPIRE_TOGETHER)

    async def end_smart_ids(work: Work) -> int:
        return await smart_ids.expire_due(work, EXPIRE_TOGETHER)

    for ending in (end_smart_ids, expire):
        while await resources.works.perform(WORKER, bank, ending):
            pass
    while await expire_due(resources.works, resources.network, bank):
        pass


async def _check_salary(resources: Resources, job: Job) -> None:
    await check(resources.works, SalaryRunId(UUID(job.payload["run_id"])))


async def _pay_salary(resources: Resources, job: Job) -> None:
    run_id = SalaryRunId(UUID(job.payload["run_id"]))
    await pay(resources.works, resources.teller, run_id, BankId(job.payload["bank"]))


async def _topup(
    desk: topups.Desk | None,
    act: Callable[[topups.Desk, BankId, TopupId], Awaitable[Any]],
    job: Job,
) -> None:
    if desk is None:
        raise Again(CONFIGURE_PAUSE_S)
    await act(desk, BankId(job.payload["bank"]), TopupId(UUID(job.payload["topup_id"])))


async def _send_code(resources: Resources, channels: Channels, job: Job) -> None:
    if channels.sms is None and channels.push is None:
        raise Again(CONFIGURE_PAUSE_S)

    async def phone_of(work: Work, holder_id: HolderId) -> Secret[str] | None:
        return await holders.phone(work, resources.vault, holder_id)

    await sending.send(resources.works, resources.vault, channels, phone_of, WORKER, job.payload)


async def _tell(resources: Resources, sms: SmsPort | None, job: Job) -> None:
    if sms is None:
        raise Again(CONFIGURE_PAUSE_S)

    async def phone_of(work: Work, holder_id: HolderId) -> Secret[str] | None:
        return await holders.phone(work, resources.vault, holder_id)

    await telling.send(resources.works, resources.vault, sms, phone_of, WORKER, job.payload)


async def _lapse_claim(resources: Resources, job: Job) -> None:
    card_id = CardId(UUID(job.payload["card_id"]))

    async def lapse(work: Work) -> bool:
        return await undo.lapse(work, card_id)

    if not await resources.works.perform(WORKER, BankId(job.payload["bank"]), lapse):
        raise Again(1.0)


async def _follow(resources: Resources, job: Job) -> None:
    holder_id = HolderId(UUID(job.payload["holder_id"]))

    async def follow(work: Work) -> int:
        return await following.follow(work, holder_id)

    await resources.works.perform(WORKER, BankId(job.payload["bank"]), follow)


async def _settle_tokens(desk: tokenising.TokenDesk | None, job: Job) -> None:
    if desk is None:
        raise Again(CONFIGURE_PAUSE_S)
    bank, card_id = BankId(job.payload["bank"]), CardId(UUID(job.payload["card_id"]))
    await tokenising.settle(desk, bank, card_id)


async def _close_day(resources: Resources, job: Job) -> None:
    bank, day = BankId(job.payload["bank"]), date.fromisoformat(job.payload["day"])
    closed = await days.close(resources.works, bank, day)
    if closed.difference is not None:
        _log.error("%s %s does not close: the books differ", bank, day)
        raise Again(DIFFERENCE_PAUSE_S)
    if closed.state is not days.DayState.CLOSED:
        raise Again(1.0)


async def _settle_shortfall(resources: Resources, job: Job) -> None:
    request_id = UUID(job.payload["request_id"])

    async def settle(work: Work) -> None:
        await operations.settle(work, request_id)

    await resources.works.perform(WORKER, BankId(job.payload["bank"]), settle)


async def _sweep(resources: Resources, periods: retention.Periods, job: Job) -> None:
    """Sweep a bank's tables, and again in an hour: without end, so without blame for a fault."""
    bank = BankId(job.payload["bank"])
    try:
        gone = await retention.sweep(resources.works, bank, periods)
    except (Exception, Refused) as error:
        _log.warning("%s was not swept: %s", bank, type(error).__name__)
        raise Again(FAULT_PAUSE_S) from error
    if any(gone.values()):
        _log.info("%s swept: %s", bank, ", ".join(f"{n} {table}" for table, n in gone.items() if n))
    raise Again(retention.EVERY.total_seconds())


async def _ring_alarm(resources: Resources, job: Job) -> None:
    """Tell whoever watches the log, at once and every hour until somebody has looked at it."""
    emergency_id = UUID(job.payload["emergency_id"])
    waits = await resources.works.read(
        WORKER, None, lambda work: emergency.unreviewed_one(work, emergency_id)
    )
    if waits is None:
        return
    _alarm.critical(
        "emergency access %s, opened by staff %s at %s, is not reviewed",
        waits.id,
        waits.staff_id,
        waits.opened_at.isoformat(),
    )
    raise Again(emergency.ALARM_EVERY.total_seconds())
