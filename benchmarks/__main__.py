"""`make bench`: all figures, one after the other, on servers of their own."""

import argparse
import asyncio

from benchmarks import core, payments, salary_day, statements


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", default=["core", "payments", "salary", "statements"])
    parser.add_argument("--quick", action="store_true", help="short rounds, for a first look")
    options = parser.parse_args()
    seconds, rounds = (3.0, 1) if options.quick else (8.0, 3)
    for which in options.which:
        match which:
            case "core":
                asyncio.run(core.main(seconds, rounds))
            case "payments":
                asyncio.run(payments.main(seconds, rounds))
            case "salary":
                salary_day.run(20_000 if options.quick else 220_000)
            case "statements":
                asyncio.run(statements.main(300_000 if options.quick else 10_000_000))
            case _:
                parser.error(f"there is no {which}: core, payments, salary, statements")


if __name__ == "__main__":
    main()
