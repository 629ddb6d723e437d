"""All twelve: what is cleared against what is held, whatever the wallet has left. The books hold.

Each line: what the wallet has, what is held first (- for nothing), what is cleared, then what the
wallet has left and still holds, what suspense stands in for, and the case.
"""

from datetime import timedelta

import pytest

from tests.wallet.authorisations.till import Till
from wallet.authorisations.messages import Kind

TABLE = """
has     held    cleared        left    held   short   case                what
100000  60000   60000          40000   0      0       -                   equal
100000  60000   45000          55000   0      0       -                   below, the last
100000  60000   45000+         55000   15000  0       -                   below, more to come
100000  60000   20000+40000    40000   0      0       -                   in parts, in all equal
100000  60000   20000+50000    30000   0      0       OVER_CAPTURE        in parts, in all above
100000  60000   75000          25000   0      0       OVER_CAPTURE        above, the wallet pays
60000   60000   75000          0       0      15000   OVER_CAPTURE        above, suspense pays
100000  60000   60000~         40000   0      0       LATE_PRESENTMENT    late, the wallet pays
60000   60000x  70000~         0       0      10000   LATE_PRESENTMENT    late, suspense pays
100000  -       60000          40000   0      0       NO_AUTHORIZATION    without, the wallet pays
20000   -       60000          0       0      40000   NO_AUTHORIZATION    without, suspense pays
100000  60000r  60000          40000   0      0       LATE_PRESENTMENT    after it was taken back
"""
LINES = [line.split(None, 7) for line in TABLE.strip().splitlines()[1:]]


@pytest.mark.parametrize("line", LINES, ids=[line[7] for line in LINES])
async def test_a_clearing_and_a_hold(till: Till, line: list[str]) -> None:
    has, held, cleared, left, holds, short, case, _ = line
    await till.open(khr=int(has))
    bought = till.message(Kind.AUTHORIZATION, int(held.strip("xr-") or 1))
    if held != "-":
        await till.done(bought)
    if held.endswith("r"):
        await till.done(till.message(Kind.REVERSAL, of=bought))
    if "~" in cleared:
        till.clock.advance(timedelta(days=7))
    parts = cleared.rstrip("+~").split("+")
    for place, part in enumerate(parts, 1):
        final = place == len(parts) and not cleared.endswith("+")
        clearing = till.message(Kind.CLEARING, int(part), of=bought, final=final)
        await till.done(clearing)
        await till.prove()
    assert await till.balance() == (int(left), int(holds))
    cases = await till.cases()
    assert [cause for cause, _, _ in cases] == ([] if case == "-" else [case])
    assert sum(short_minor for _, _, short_minor in cases) == int(short)


async def test_a_clearing_on_a_closed_wallet_falls_to_suspense_whole(till: Till) -> None:
    await till.open(khr=50_000)
    bought = await till.authorise(30_000)
    await till.close_wallet()
    later = till.message(Kind.AUTHORIZATION, 1_000)
    assert await till.said(later) == "account_closed"
    await till.done(till.message(Kind.CLEARING, 40_000, of=bought))
    await till.done(till.message(Kind.FORCE_POST, 5_000))
    cases = await till.cases()
    assert [(cause, short) for cause, _, short in cases] == [
        ("OVER_CAPTURE", 10_000),
        ("FORCE_POST", 5_000),
    ]
    await till.done(till.message(Kind.RETURN, 40_000, of=bought))
    await till.prove()
