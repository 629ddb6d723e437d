"""Events leave in commit order, none is skipped, and each has its effect once."""

import asyncio
from contextlib import suppress

from wallet import outbox
from wallet.events import SecurityNotice
from wallet.identifiers import BankId, HolderId, new_id
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


async def _say(works: Works, what: str) -> None:
    async def act(work: Work) -> None:
        work.emit(SecurityNotice(holder_id=HolderId(new_id()), what=what))

    await works.perform(SYSTEM, BANK, act)


async def _take(works: Works, limit: int = 100) -> list[str]:
    async def act(work: Work) -> list[str]:
        batch = await outbox.next_batch(work.rows, "reader", limit)
        if batch:
            await outbox.advance(work.rows, "reader", batch[-1])
        return [
            published.event.what
            for published in batch
            if isinstance(published.event, SecurityNotice)
        ]

    return await works.perform(SYSTEM, None, act)


async def test_events_are_followed_in_batches_to_the_end(works: Works) -> None:
    for i in range(7):
        await _say(works, str(i))
    seen = []
    while batch := await _take(works, 3):
        seen += batch
    assert seen == [str(i) for i in range(7)]


async def test_an_event_whose_transaction_commits_late_is_not_skipped(works: Works) -> None:
    may_end = asyncio.Event()
    written = asyncio.Event()

    async def slow(work: Work) -> None:
        work.emit(SecurityNotice(holder_id=HolderId(new_id()), what="early but slow"))
        await work.flush()
        work._events.clear()
        written.set()
        await may_end.wait()

    running = asyncio.create_task(works.perform(SYSTEM, BANK, slow))
    await written.wait()
    await _say(works, "late but quick")
    assert await _take(works) == []
    may_end.set()
    await running
    assert await _take(works) == ["early but slow", "late but quick"]


async def test_a_follower_that_fails_sees_the_same_batch_again(works: Works) -> None:
    await _say(works, "once")

    async def fail(work: Work) -> None:
        batch = await outbox.next_batch(work.rows, "reader", 10)
        await outbox.advance(work.rows, "reader", batch[-1])
        raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        await works.perform(SYSTEM, None, fail)
    assert await _take(works) == ["once"]


async def test_two_followers_of_one_name_share_the_work_without_overlap(works: Works) -> None:
    """E2."""
    for i in range(40):
        await _say(works, str(i))
    batches = await asyncio.gather(*(_take(works, 5) for _ in range(8)))
    seen = [what for batch in batches for what in batch]
    assert sorted(seen, key=int) == [str(i) for i in range(40)]
