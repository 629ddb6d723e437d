"""Purchases whose time is over: what they hold is free again, exactly once.

Promise: reading and deciding take an authorisation as over at its very moment, whether or not this
was there; the hold itself is released no later than the worker's next round, with an event and a
word to the holder. Safe in any number of processes: who comes second repeats the first's message
and gets its answer. Who calls: runtime's worker.
"""

from typing import Final

from wallet.authorisations.messages import expiring
from wallet.authorisations.serving import Network, serve
from wallet.identifiers import BankId
from wallet.work import WORKER, Work, Works

GROUP: Final = 256


async def expire_due(works: Works, network: Network, bank: BankId) -> int:
    """End up to `GROUP` due purchases of one bank in one Work; answers how many."""

    async def act(work: Work) -> int:
        rows = await work.rows(_DUE, work.now, GROUP)
        if rows:
            await serve(work, network, [expiring(bank, row["key"]) for row in rows])
        return len(rows)

    return await works.perform(WORKER, bank, act)


_DUE: Final = """
select key from open_authorisations where expires_at <= $1 order by expires_at, id limit $2
"""
