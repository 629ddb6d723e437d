"""A month's statement as a file: CSV for programs and spreadsheets, PDF for people.

Promise: both say the same entries and the same sums. The CSV is UTF-8 with a byte order mark, else
spreadsheets show Khmer as noise, and no cell of it is a formula. In the PDF Khmer is shaped (the
typesetter's own HarfBuzz) with a font that comes as a dependency; what a holder is called can
be no markup, since it reaches the template as data. Who calls: statements.
"""

import csv
import io
import json
from importlib.resources import files
from typing import Any, Final

import fontpkg_noto_sans_khmer
import typst
from msgspec import Struct

from api.mobile import statement_words as words
from wallet.clock import PHNOM_PENH
from wallet.ledger.month import Line, MonthStatement
from wallet.money import Currency, Money

COLUMNS: Final = (
    "row",
    "booked_on",
    "at",
    "kind",
    "description_km",
    "description_en",
    "money_in",
    "money_out",
    "balance",
    "currency",
    "account",
    "holder_latin",
    "holder_khmer",
    "transfer_id",
    "reference",
)
"""One opening row, the entries, one closing row that carries the totals."""

BOM: Final = "\ufeff"
FONT: Final = "Noto Sans Khmer"
TAGGED_MOST: Final = 200
"""Lines up to which the PDF is tagged for screen readers: tags make it ten times as large."""

FORGETS_AFTER: Final = 12
"""The typesetter keeps what it laid out for this many documents: nothing, once empty ones came."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class Holder(Struct, frozen=True, kw_only=True):
    """Whose statement it is, as printed."""

    name_latin: str
    name_khmer: str
    bank: str


def as_csv(statement: MonthStatement, holder: Holder) -> bytes:
    """The statement as comma-separated values (RFC 4180). Money is plain decimal, unsigned."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    of_all = (
        statement.currency.value,
        statement.number,
        _cell(holder.name_latin),
        _cell(holder.name_khmer),
    )
    first, until = statement.month.first.isoformat(), _local(statement.until)
    opening, closing = statement.opening.decimal(), statement.closing.decimal()
    writer.writerow(("opening", first, "", "", *words.OPENING, "", "", opening, *of_all, "", ""))
    for line in statement.lines:
        writer.writerow(_row(line, of_all))
    came, went = statement.came.decimal(), statement.went.decimal()
    writer.writerow(
        ("closing", "", until, "", *words.CLOSING, came, went, closing, *of_all, "", "")
    )
    return (BOM + text.getvalue()).encode()


class Typesetter:
    """The compiled template and its font; used by one thread at a time."""

    def __init__(self) -> None:
        folder = fontpkg_noto_sans_khmer.ROOT / "files"
        fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder]
        )
        if FONT not in fonts.families():
            raise RuntimeError(f"the font {FONT} is not in its package fontpkg-noto-sans-khmer")
        self._template = (files("api.mobile") / "statement.typ").read_bytes()
        # Its root is the font's folder: the template reads no file, and can reach nothing else.
        self._compiler = typst.Compiler(font_paths=fonts, root=folder)

    def as_pdf(self, statement: MonthStatement, holder: Holder) -> bytes:
        """The statement as an A4 document."""
        pdf = self._compiler.compile(
            self._template,
            format="pdf",
            sys_inputs={"data": json.dumps(_shown(statement, holder), ensure_ascii=False)},
            timestamp=statement.until.replace(microsecond=0),
            pdf_tags=len(statement.lines) <= TAGGED_MOST,
        )
        for _ in range(FORGETS_AFTER):
            self._compiler.compile(b"", format="pdf")
        assert isinstance(pdf, bytes)  # noqa: S101 - one PDF is one document
        return pdf


def _row(line: Line, of_all: tuple[str, ...]) -> tuple[str, ...]:
    entry = line.entry
    return (
        "entry",
        line.booked_on.isoformat(),
        _local(entry.at),
        entry.kind,
        *words.of_kind(entry.kind),
        *_in_and_out(entry.amount_minor, entry.currency, Money.decimal),
        Money(entry.balance_minor, entry.currency).decimal(),
        *of_all,
        str(entry.transfer_id),
        "" if entry.reference is None else str(entry.reference),
    )


def _shown(statement: MonthStatement, holder: Holder) -> dict[str, Any]:
    month = statement.month
    return {
        "bank": holder.bank,
        "name_khmer": holder.name_khmer,
        "name_latin": holder.name_latin,
        "number": statement.number,
        "currency": statement.currency.value,
        "month_khmer": f"ខែ{words.MONTHS[month.month - 1]} ឆ្នាំ{_khmer_digits(month.year)}",
        "month": str(month),
        "opening": _figure(statement.opening),
        "closing": _figure(statement.closing),
        "came": _figure(statement.came),
        "went": _figure(statement.went),
        "until": _local(statement.until)[:16].replace("T", " "),
        "final": statement.final,
        "lines": [
            [
                line.booked_on.isoformat(),
                _local(line.entry.at)[11:16],
                " · ".join(words.of_kind(line.entry.kind)),
                str(line.entry.transfer_id)[-12:],
                *_in_and_out(line.entry.amount_minor, line.entry.currency, _figure),
                _figure(Money(line.entry.balance_minor, line.entry.currency)),
            ]
            for line in statement.lines
        ],
    }


def _in_and_out(amount: int, currency: Currency, told: Any) -> tuple[str, str]:
    text: str = told(Money(abs(amount), currency))
    return (text, "") if amount > 0 else ("", text)


def _figure(money: Money) -> str:
    return money.display().rpartition(" ")[0]


def _khmer_digits(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "០១២៣៤៥៦៧៨៩"))


def _local(moment: Any) -> str:
    text: str = moment.astimezone(PHNOM_PENH).isoformat(timespec="seconds")
    return text


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text
