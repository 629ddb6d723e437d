"""What tests of limits look at."""

from datetime import date
from uuid import UUID

from wallet.ledger.proof import prove
from wallet.limits.proof import CHECKS
from wallet.work import SYSTEM, Work, Works


async def counters(works: Works) -> dict[tuple[UUID, str, date], tuple[int, int]]:
    """(amount, uses) by (subject, measure, first day)."""

    async def query(work: Work) -> dict[tuple[UUID, str, date], tuple[int, int]]:
        return {
            (row["subject"], row["measure"], row["start"]): (row["amount_minor"], row["uses"])
            for row in await work.rows("select * from limit_counters")
        }

    return await works.read(SYSTEM, None, query)


async def assert_counters_right(works: Works) -> None:
    for finding in await prove(works, CHECKS):
        assert finding.right, f"{finding.check}: {finding.difference}"
