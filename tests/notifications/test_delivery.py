"""Each event reaches its inbox once, whatever is killed, and wakes who listens."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from notifications import inbox
from notifications.delivery import deliver_next
from notifications.live import Listeners, waker
from wallet.database import Database
from wallet.events import SalaryPaid
from wallet.identifiers import BankId, HolderId, new_id
from wallet.money import Money
from wallet.work import SYSTEM, Work, Works

BANK = BankId("CANADIA")


async def _pay(works: Works, holder: HolderId, times: int = 1) -> None:
    async def act(work: Work) -> None:
        for i in range(times):
            work.emit(
                SalaryPaid(
                    holder_id=holder,
                    money=Money.khr(1_000_000 + i),
                    agency="MCS",
                    period="2026-01",
                    half=1,
                    account_last_four="0001",
                    run_id="r",
                )
            )

    await works.perform(SYSTEM, BANK, act)


async def _nobody(holders: Sequence[HolderId]) -> None:
    return


async def test_every_event_is_kept_once_and_read_newest_first(works: Works) -> None:
    holder = HolderId(new_id())
    await _pay(works, holder, 5)
    assert [await deliver_next(works, _nobody, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    entries = await works.read(SYSTEM, BANK, lambda work: inbox.newest(work, holder, "en", limit=3))
    assert [entry.text.split(": ")[1].split(" ")[0] for entry in entries] == [
        "1,000,004",
        "1,000,003",
        "1,000,002",
    ]
    rest = await works.read(
        SYSTEM, BANK, lambda work: inbox.newest(work, holder, "km", before=entries[-1].id)
    )
    assert len(rest) == 2


async def test_e1_a_worker_killed_before_commit_or_before_the_wake_loses_and_doubles_nothing(
    works: Works, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = HolderId(new_id())
    await _pay(works, holder, 3)
    keep = inbox.keep

    async def dies(*arguments: object) -> list[HolderId]:
        await keep(*arguments)  # type: ignore[arg-type]
        raise SystemError

    monkeypatch.setattr(inbox, "keep", dies)
    with pytest.raises(SystemError):
        await deliver_next(works, _nobody)
    monkeypatch.setattr(inbox, "keep", keep)

    async def dies_waking(holders: Sequence[HolderId]) -> None:
        raise SystemError

    with pytest.raises(SystemError):
        await deliver_next(works, dies_waking)
    assert await deliver_next(works, _nobody) == 0
    assert len(await database.rows("select 1 from event_positions")) == 1
    entries = await works.read(SYSTEM, BANK, lambda work: inbox.newest(work, holder, "en"))
    assert len(entries) == 3


async def test_listeners_are_woken_over_redis_and_only_those_concerned(redis: "Redis") -> None:
    listeners = Listeners(redis)
    me, other = HolderId(new_id()), HolderId(new_id())
    mine, theirs = listeners.listen(me), listeners.listen(other)
    # Once it listens, everybody looks: what was said before nobody heard.
    async with asyncio.timeout(5):
        await mine.wait()
        await theirs.wait()
    mine.clear()
    theirs.clear()

    await waker(redis)([HolderId(new_id()), me])
    async with asyncio.timeout(5):
        await mine.wait()
    assert not theirs.is_set()
    listeners.leave(me, mine)
    await listeners.close()
