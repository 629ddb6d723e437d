"""Overload: three times what the server can do is offered to it, and what it still gets done.

The peak is what 64 connections get done when each waits for its answer. Then three times that is
offered openly. Aim: what is done stays at 90 % of the peak or above, the rest is told at once to
come back (503, Retry-After), and who is let in is answered within twice the time at the peak.
"""

import asyncio
import statistics
from typing import Final

from benchmarks.ground import books_right, ground
from benchmarks.http_client import Load, run_load
from benchmarks.offered import Answered, Offer, p99_ms, run_offer
from benchmarks.payments import api, code_to_pay, payers_of

TIMES: Final = 3.0
WIRES: Final = 512


async def main(seconds: float = 8.0, rounds: int = 3) -> None:
    """Print the peak, what is done under three times as much, and the times of both."""
    async with ground() as base:
        payers = await payers_of(base)
        with api(base, "groups") as port:
            load = Load(port, seconds, payers, code_to_pay())
            await asyncio.to_thread(run_load, Load(port, 2.0, payers, load.code), "payments")
            kept = []
            for _ in range(rounds):
                peak = await asyncio.to_thread(run_load, load, "payments")
                offer = Offer(
                    port=port,
                    seconds=seconds,
                    rate=TIMES * peak.done / peak.elapsed,
                    payers=payers,
                    code=load.code,
                    wires=WIRES,
                )
                answered = await asyncio.to_thread(run_offer, offer)
                kept.append(answered.rate / (peak.done / peak.elapsed))
                _print(peak.done / peak.elapsed, p99_ms(peak.request_s), answered)
            print(f"overload: {statistics.median(kept):.0%} of the peak is kept", flush=True)
        await books_right(base)


def _print(peak: float, p99: float, answered: Answered) -> None:
    print(
        f"overload: peak {peak:,.0f} payments/s, p99 {p99:.0f} ms a request; "
        f"{answered.offered / answered.elapsed:,.0f}/s offered: {answered.rate:,.0f}/s done, "
        f"{answered.turned_away / answered.elapsed:,.0f}/s turned away, "
        f"{answered.unasked / answered.elapsed:,.0f}/s found no connection; p99 of the admitted "
        f"{p99_ms(answered.request_s):.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main())
