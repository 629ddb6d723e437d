"""Payday: phones pay while the salaries of the whole civil service are paid in.

Payments are offered at a steady rate over HTTP, first on a quiet server, then from the upload of a
file of 220,000 lines to its last credit and inbox entry; both p99s are of the same load on the same
server. Aim: the second at most twice the first.
"""

import asyncio
import itertools
from types import SimpleNamespace
from typing import Final

from msgspec.structs import replace

from benchmarks import salary_day
from benchmarks.ground import books_right, ground
from benchmarks.offered import Answered, Offer, p99_ms, run_offer
from benchmarks.payments import api, code_to_pay, payers_of
from benchmarks.salary_day import Figures
from simulators.agency import Payee

RATES: Final = (100.0, 300.0)
"""Payments a second: a busy morning, and a fifth of what one process can serve."""

SLICE_S: Final = 2.0


async def main(lines: int = 220_000, quiet_s: float = 14.0) -> None:
    """Print p99 alone and beside the salaries, and how long these took, for each rate."""
    async with ground() as base:
        payees = await salary_day.seed(base, lines)
        payers = await payers_of(base)
        with api(base, "groups") as port:
            for half, rate in enumerate(RATES, start=1):
                offer = Offer(
                    port=port, seconds=SLICE_S, rate=rate, payers=payers, code=code_to_pay()
                )
                await asyncio.to_thread(run_offer, offer)
                alone = await asyncio.to_thread(run_offer, replace(offer, seconds=quiet_s))
                beside, figures = await _beside(base, offer, payees, half)
                _print(rate, alone, beside, figures)
        await books_right(base)


async def _beside(
    base: SimpleNamespace, offer: Offer, payees: list[Payee], half: int
) -> tuple[list[Answered], Figures]:
    """Slices of load, one after the other, for as long as the salaries take."""
    paying = asyncio.create_task(salary_day.pay_day(base, payees, half))
    slices: list[Answered] = []
    while not paying.done():
        slices.append(await asyncio.to_thread(run_offer, offer))
    return slices, await paying


def _print(rate: float, alone: Answered, beside: list[Answered], figures: Figures) -> None:
    requests = list(itertools.chain.from_iterable(one.request_s for one in beside))
    before, during = p99_ms(alone.request_s), p99_ms(requests)
    print(
        f"payday, {rate:,.0f} payments/s offered: a request p99 {before:.1f} ms alone, "
        f"{during:.1f} ms beside {figures.lines:,} salaries ({during / before:.1f}x; "
        f"{sum(one.done for one in beside):,} payments, "
        f"{sum(one.turned_away + one.unasked for one in beside):,} turned away); last salary after "
        f"{figures.credited_s:.1f} s, last inbox entry after {figures.told_s:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
