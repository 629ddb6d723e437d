"""From the outbox to every inbox, exactly once, then a wake-up for those who listen.

Promise: entries and the follower's position commit together, so a kill at any line repeats or
loses nothing; the wake-up comes after and carries only whom to look up, so losing it delays a
live stream by its own heartbeat and nothing more. Who calls: runtime's worker.
"""

from typing import Final

from notifications import inbox
from notifications.live import Wake
from wallet import outbox
from wallet.identifiers import HolderId
from wallet.work import WORKER, Work, Works

CONSUMER: Final = "inbox"
BATCH: Final = 2000


async def deliver_next(works: Works, wake: Wake, *, limit: int = BATCH) -> int:
    """Deliver the next batch of events; answers how many there were (0 when up to date)."""

    async def act(work: Work) -> tuple[int, list[HolderId]]:
        batch = await outbox.next_batch(work.rows, CONSUMER, limit)
        if not batch:
            return 0, []
        told = await inbox.keep(work, batch)
        await outbox.advance(work.rows, CONSUMER, batch[-1])
        return len(batch), told

    count, told = await works.perform(WORKER, None, act)
    if told:
        await wake(told)
    return count
