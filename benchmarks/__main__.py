"""`make bench`: all figures, one after the other, on servers of their own."""

import argparse
import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import uvloop

from benchmarks import (
    authorisations,
    cards,
    controls,
    core,
    overload,
    payday,
    payments,
    prove,
    salary_day,
    secured,
    statements,
    volume,
)


class Asked(NamedTuple):
    """`quick`: short rounds, for a first look."""

    quick: bool
    transfers: int

    @property
    def rounds(self) -> tuple[float, int]:
        """Seconds a round, and rounds."""
        return (3.0, 1) if self.quick else (8.0, 3)


MEASURES: Final[dict[str, Callable[[Asked], object]]] = {
    "core": lambda asked: asyncio.run(core.main(*asked.rounds)),
    "volume": lambda asked: asyncio.run(
        volume.main(1_000_000 if asked.quick else 10_000_000, *asked.rounds)
    ),
    "payments": lambda asked: asyncio.run(payments.main(*asked.rounds)),
    "secured": lambda asked: asyncio.run(
        secured.main(320 if asked.quick else 1_920, asked.rounds[1])
    ),
    "cards": lambda asked: asyncio.run(cards.main(*asked.rounds)),
    "authorisations": lambda asked: uvloop.run(
        authorisations.main(*asked.rounds, 4_000 if asked.quick else authorisations.CARDS)
    ),
    "overload": lambda asked: asyncio.run(overload.main(*asked.rounds)),
    "salary": lambda asked: salary_day.run(20_000 if asked.quick else 220_000),
    "payday": lambda asked: uvloop.run(payday.main(20_000 if asked.quick else 220_000)),
    "prove": lambda asked: asyncio.run(prove.main(asked.transfers, *asked.rounds)),
    "statements": lambda asked: asyncio.run(
        statements.main(300_000 if asked.quick else 10_000_000)
    ),
    "controls": lambda asked: asyncio.run(controls.main(5 if asked.quick else 20)),
}


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", default=list(MEASURES))
    parser.add_argument("--quick", action="store_true", help="short rounds, for a first look")
    parser.add_argument(
        "--transfers", type=int, default=200_000, help="how many the proof is over (200,000)"
    )
    options = parser.parse_args()
    asked = Asked(quick=options.quick, transfers=options.transfers)
    for which in options.which:
        if which not in MEASURES:
            parser.error(f"there is no {which}: {', '.join(MEASURES)}")
        MEASURES[which](asked)


if __name__ == "__main__":
    main()
