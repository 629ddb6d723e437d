"""Releasing holds whose moment has come, in order of expiry.

Promise: a hold stops counting no later than the worker's next round; capturing at or after the
moment is declined even before that. Who calls: runtime's worker.
"""

from typing import Final

from wallet.identifiers import BankId
from wallet.ledger import book as books
from wallet.ledger.transfer import expiry_id
from wallet.work import WORKER, Work, Works

GROUP: Final = 512


async def release_due(works: Works, bank: BankId) -> int:
    """Expire up to `GROUP` due holds of one bank in one Work; answers how many were due."""

    async def act(work: Work) -> int:
        due = await books.due_holds(work, GROUP)
        if not due:
            return 0
        book = await books.open_book(work, accounts=(), holds=due)
        for hold in due:
            book.expire(expiry_id(hold), hold)
        await book.write()
        return len(due)

    return await works.perform(WORKER, bank, act)
