"""An agency's payroll clerk: writes the salary file that is uploaded twice a month.

Promise: the CSV of the salary door to the letter (columns, control row, whole riel), the same
bytes for the same people, period and half. Amounts are un-rounded, as real salaries are
(1,309,477). Who calls: demo, benchmarks, tests.
"""

import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

COLUMNS: Final = (
    "staff_no",
    "account_no",
    "name_latin",
    "name_khmer",
    "amount_khr",
    "period",
    "half",
)

LOWEST_RIEL: Final = 1_172_500
"""The minimum civil service salary of 2022, before increases."""

SPREAD_RIEL: Final = 275_000


class Payee(Struct, frozen=True, kw_only=True):
    """Who is paid: as the agency's own records have the person."""

    staff_no: str
    account_no: str
    name_latin: str
    name_khmer: str


def amount_riel(staff_no: str) -> int:
    """This person's pay for half a month, whole riel: 1,172,500 to 1,447,499, never rounded."""
    return LOWEST_RIEL + zlib.crc32(staff_no.encode()) % SPREAD_RIEL


def salary_csv(
    payees: Iterable[Payee], *, period: str, half: int, byte_order_mark: bool = True
) -> bytes:
    """The whole file: `period` as 2026-01, `half` 1 or 2."""
    return b"".join(
        salary_chunks(payees, period=period, half=half, byte_order_mark=byte_order_mark)
    )


def salary_chunks(
    payees: Iterable[Payee], *, period: str, half: int, byte_order_mark: bool = True
) -> Iterator[bytes]:
    """The file in pieces of some hundred lines, for files that should not stand in memory."""
    if byte_order_mark:
        yield b"\xef\xbb\xbf"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    count = total = 0
    for payee in payees:
        amount = amount_riel(payee.staff_no)
        count, total = count + 1, total + amount
        writer.writerow(
            (
                payee.staff_no,
                payee.account_no,
                payee.name_latin,
                payee.name_khmer,
                amount,
                period,
                half,
            )
        )
        if count % 500 == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    writer.writerow(("TOTAL", count, total))
    yield text.getvalue().encode()
