"""`make bench`: all figures, one after the other, on servers of their own."""

import argparse
import asyncio

from benchmarks import (
    authorisations,
    cards,
    controls,
    core,
    payments,
    prove,
    salary_day,
    statements,
)


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    everything = [
        "core",
        "payments",
        "cards",
        "controls",
        "authorisations",
        "salary",
        "prove",
        "statements",
    ]
    parser.add_argument("which", nargs="*", default=everything)
    parser.add_argument("--quick", action="store_true", help="short rounds, for a first look")
    parser.add_argument(
        "--transfers", type=int, default=200_000, help="how many the proof is over (200,000)"
    )
    options = parser.parse_args()
    seconds, rounds = (3.0, 1) if options.quick else (8.0, 3)
    for which in options.which:
        match which:
            case "core":
                asyncio.run(core.main(seconds, rounds))
            case "payments":
                asyncio.run(payments.main(seconds, rounds))
            case "cards":
                asyncio.run(cards.main(seconds, rounds))
            case "authorisations":
                cards_made = 4_000 if options.quick else authorisations.CARDS
                asyncio.run(authorisations.main(seconds, rounds, cards_made))
            case "salary":
                salary_day.run(20_000 if options.quick else 220_000)
            case "prove":
                asyncio.run(prove.main(options.transfers, seconds, rounds))
            case "statements":
                asyncio.run(statements.main(300_000 if options.quick else 10_000_000))
            case "controls":
                asyncio.run(controls.main(5 if options.quick else 20))
            case _:
                parser.error(f"there is no {which}: {', '.join(everything)}")


if __name__ == "__main__":
    main()
