"""The salary CSV: bytes in, lines and faults out. Pure, streaming, total.

Promise: any bytes at all are answered, never raised on; memory does not grow with the file but
for one number per person (duplicates); the answer does not depend on how the bytes are cut into
chunks. A bad line is answered by its line number (the header is line 1); what makes the whole
file untrustworthy is a `FileFault`. Who calls: check, and its tests.

The form: UTF-8, byte order mark or not; a header; one line a person; a last control row
`TOTAL,<count>,<sum>` over all lines of the file, rejected ones too. The sum is over amounts as
written: a negative or grouped amount counts by its value, an unreadable one counts nothing.
"""

import csv
import re
from fractions import Fraction
from typing import Final

from msgspec import Struct

from wallet.registry.names import normalise_name
from wallet.salary.findings import FileCode, FileFault, LineCode

COLUMNS: Final = (
    "staff_no", "account_no", "name_latin", "name_khmer", "amount_khr", "period", "half",
)  # fmt: skip
LONGEST_LINE_BYTES: Final = 4096
MOST_LINES: Final = 500_000
LARGEST_AMOUNT_KHR: Final = 100_000_000
"""A hundred million riel for half a month is a typing error: pay is one to two million."""
BROKEN_LINES_BORNE: Final = 1_000
"""Beyond so many unreadable lines, when they are also most lines, reading stops."""


class ReadLine(Struct, frozen=True, kw_only=True, gc=False):
    """One person's line. `amount_minor` is whole riel, 0 when unreadable; a `code` rejects it."""

    line_no: int
    staff_no: str
    account_no: str
    name_latin: str
    name_khmer: str
    amount_minor: int
    code: LineCode | None = None
    other_line: int = 0


class Totals(Struct, frozen=True, kw_only=True):
    """What the whole file comes to; `sum_minor` is None when it is not whole riel."""

    period: str | None
    half: int | None
    lines: int
    sum_minor: int | None
    faults: tuple[FileFault, ...]
    conflicting: tuple[int, ...]
    """First lines of persons to whom a later line gives another amount."""


class SalaryReader:
    """Reads one file: `feed` its chunks in order, then `finish`, then take `totals()`."""

    def __init__(self) -> None:
        self.stopped = False
        self.period: str | None = None
        self.half: int | None = None
        self._rest = b""
        self._line_no = 0
        self._lines = 0
        self._broken = 0
        self._sum = 0
        self._odd_sum = Fraction(0)
        self._period_cells: tuple[str, str] | None = None
        self._mixed = False
        self._control: tuple[int, list[str]] | None = None
        self._faults: list[FileFault] = []
        self._persons: dict[int, int] = {}
        self._conflicting: set[int] = set()

    def feed(self, chunk: bytes) -> list[ReadLine]:
        """Read what became complete with this chunk."""
        if self.stopped:
            return []
        data = self._rest + chunk
        cut = data.rfind(b"\n")
        self._rest = data[cut + 1 :]
        found = self._block(data[:cut]) if cut >= 0 else []
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._stop(FileCode.LINE_TOO_LONG, self._line_no + 1)
        return found

    def finish(self) -> list[ReadLine]:
        """The end of the file: its last line and its control totals."""
        found = self._block(self._rest) if self._rest and not self.stopped else []
        self._rest = b""
        if not self.stopped:
            self._verify_totals()
            self.stopped = True
        return found

    def totals(self) -> Totals:
        written = self._sum + self._odd_sum
        whole = written.denominator == 1 and -(2**63) <= written < 2**63
        return Totals(
            period=self.period,
            half=self.half,
            lines=self._lines,
            sum_minor=int(written) if whole else None,
            faults=tuple(self._faults),
            conflicting=tuple(sorted(self._conflicting)),
        )

    def _stop(self, code: FileCode, line_no: int, **facts: str | int) -> None:
        """Read no further; the first reason to stop is the one that is told."""
        if not self.stopped:
            self._faults.append(FileFault(code=code, line_no=line_no, facts=facts))
        self.stopped = True

    def _block(self, block: bytes) -> list[ReadLine]:
        """Read whole lines. Up to the first line that is no text, all the same."""
        readable, fault = _readable_part(block)
        found: list[ReadLine] = []
        if readable is not None:
            for text in readable.split("\n"):
                self._line_no += 1
                line = self._line(text)
                if line is not None:
                    found.append(line)
                if self.stopped:
                    return found
        if fault is not None:
            self._stop(fault, self._line_no + 1)
        return found

    def _line(self, text: str) -> ReadLine | None:
        match = _PLAIN.fullmatch(text)
        if match is None or self._control is not None or self._line_no == 1:
            return self._odd_line(text)
        staff_no, account_no, latin, khmer, digits, period, half = match.groups()
        if (period, half) != self._period_cells:
            self._note_period(period, half)
        amount = int(digits)
        if amount > LARGEST_AMOUNT_KHR or len(text) > _SURELY_SHORT:
            return self._odd_line(text)
        self._lines += 1
        self._sum += amount
        if self._line_no > MOST_LINES:
            self._stop(FileCode.TOO_MANY_LINES, self._line_no, most=MOST_LINES)
        return self._once_each(
            ReadLine(
                line_no=self._line_no,
                staff_no=staff_no,
                account_no=account_no,
                name_latin=clean_name(latin),
                name_khmer=clean_name(khmer),
                amount_minor=amount,
            )
        )

    def _odd_line(self, text: str) -> ReadLine | None:
        """A line that is not plainly good: header, control row, blank, quoted or wrong."""
        if len(text) > _SURELY_SHORT and len(text.encode()) > LONGEST_LINE_BYTES:
            self._stop(FileCode.LINE_TOO_LONG, self._line_no)
            return None
        if self._line_no > MOST_LINES:
            self._stop(FileCode.TOO_MANY_LINES, self._line_no, most=MOST_LINES)
            return None
        cells = _cells(text.removeprefix("\ufeff") if self._line_no == 1 else text)
        if self._line_no == 1:
            self._header(cells)
            return None
        if not any(cells):
            return None
        if self._control is not None:
            self._stop(FileCode.LINES_AFTER_TOTAL, self._line_no)
            return None
        if cells[0].upper() == "TOTAL" and not any(cells[3:]):
            self._control = (self._line_no, [_plain_digits(cell) for cell in cells])
            return None
        return self._person(cells)

    def _header(self, cells: list[str]) -> None:
        while len(cells) > len(COLUMNS) and not cells[-1]:
            cells = cells[:-1]
        if tuple(cell.lower() for cell in cells) != COLUMNS:
            self._stop(FileCode.HEADER_WRONG, 1)

    def _person(self, cells: list[str]) -> ReadLine | None:
        while len(cells) > len(COLUMNS) and not cells[-1]:
            cells = cells[:-1]
        code, amount_text = decide_line(cells)
        value = written_value(amount_text)
        self._lines += 1
        self._odd_sum += value
        if len(cells) == len(COLUMNS) and code is not LineCode.TOTAL_ROW_AS_PERSON:
            self._note_period(cells[5], cells[6])
        shown = value.denominator == 1 and 0 < value <= LARGEST_AMOUNT_KHR
        line = ReadLine(
            line_no=self._line_no,
            staff_no=cells[0][:_SHOWN],
            account_no=cells[1][:_SHOWN] if len(cells) > 1 else "",
            name_latin=clean_name(cells[2]) if len(cells) > 2 else "",
            name_khmer=clean_name(cells[3]) if len(cells) > 3 else "",
            amount_minor=int(value) if shown else 0,
            code=code,
        )
        if code is None:
            return self._once_each(line)
        self._broken += 1
        if self._broken > BROKEN_LINES_BORNE and self._broken * 2 > self._lines:
            self._stop(FileCode.NOT_SALARY_LINES, self._line_no, unreadable=self._broken)
        return line

    def _note_period(self, period: str, half: str) -> None:
        """The first line names the file's period; every other must name the same."""
        cells = (_plain_digits(period.strip()), _plain_digits(half.strip()))
        if self._period_cells is None:
            self._period_cells = cells
            if _PERIOD.fullmatch(cells[0]) and cells[1] in ("1", "2"):
                self.period, self.half = cells[0], int(cells[1])
            else:
                fault = FileFault(code=FileCode.PERIOD_INVALID, line_no=self._line_no)
                self._faults.append(fault)
        elif cells != self._period_cells and not self._mixed:
            self._mixed = True
            self._faults.append(FileFault(code=FileCode.PERIOD_MIXED, line_no=self._line_no))

    def _once_each(self, line: ReadLine) -> ReadLine:
        """Answer a person's second line as a duplicate, and mark the first if amounts differ."""
        # One dictionary of two small integers a person: line number above, amount below.
        packed = line.line_no << _AMOUNT_BITS | line.amount_minor
        first = self._persons.setdefault(int(line.staff_no), packed)
        if first == packed:
            return line
        first_line, first_amount = first >> _AMOUNT_BITS, first & (1 << _AMOUNT_BITS) - 1
        if first_amount != line.amount_minor:
            self._conflicting.add(first_line)
        return ReadLine(
            line_no=line.line_no,
            staff_no=line.staff_no,
            account_no=line.account_no,
            name_latin=line.name_latin,
            name_khmer=line.name_khmer,
            amount_minor=line.amount_minor,
            code=LineCode.DUPLICATE_PERSON,
            other_line=first_line,
        )

    def _verify_totals(self) -> None:
        if self._line_no == 0:
            self._faults.append(FileFault(code=FileCode.EMPTY))
            return
        if self._control is None:
            at = self._line_no
            self._faults.append(FileFault(code=FileCode.CONTROL_ROW_MISSING, line_no=at))
        else:
            at, cells = self._control
            total = self._sum + self._odd_sum
            self._faults.extend(decide_control_row(at, cells, self._lines, total))
        if self._lines == 0:
            self._faults.append(FileFault(code=FileCode.EMPTY, line_no=at))


def decide_line(cells: list[str]) -> tuple[LineCode | None, str]:
    """Why these cells are no payable line (None: they are), and the amount as written."""
    amount = cells[4] if len(cells) > 4 else ""
    if any(cell.casefold() in _TOTAL_WORDS for cell in cells[:4]):
        return LineCode.TOTAL_ROW_AS_PERSON, amount
    if len(cells) > len(COLUMNS) and _GROUPED.fullmatch(grouped := ",".join(cells[4:-2])):
        return LineCode.AMOUNT_GROUPED, grouped
    if len(cells) != len(COLUMNS):
        return LineCode.COLUMNS_WRONG, ""
    if any(cell[:1] in _FORMULA_STARTS for place, cell in enumerate(cells) if place != 4):
        return LineCode.FORMULA_CELL, amount
    code = (
        _decide_number(cells[0], _STAFF_CODES)
        or _decide_number(cells[1], _ACCOUNT_CODES)
        or decide_amount(amount)
    )
    if code is None and not (clean_name(cells[2]) and clean_name(cells[3])):
        code = LineCode.NAME_MISSING
    return code, amount


def decide_amount(text: str) -> LineCode | None:
    """Why this text is no salary in whole riel (None: it is)."""
    if _WHOLE.fullmatch(text):
        if len(text) > 18 or int(text) > LARGEST_AMOUNT_KHR:
            return LineCode.AMOUNT_TOO_LARGE
        return LineCode.AMOUNT_ZERO if int(text) == 0 else None
    if text[:1] == "-" and _value_or_none(text) is not None:
        return LineCode.AMOUNT_NEGATIVE
    if text[:1] in _FORMULA_STARTS:
        return LineCode.FORMULA_CELL
    if _GROUPED.fullmatch(text):
        return LineCode.AMOUNT_GROUPED
    return LineCode.AMOUNT_FRACTIONAL if _NUMBER.fullmatch(text) else LineCode.AMOUNT_MALFORMED


def written_value(text: str) -> Fraction:
    """What an amount says, payable or not, for the control sum; 0 when it says nothing."""
    return _value_or_none(text) or Fraction(0)


def _value_or_none(text: str) -> Fraction | None:
    if len(text) > 32:
        return None
    sign, bare = (-1, text[1:]) if text[:1] == "-" else (1, text)
    grouped = _GROUPED.fullmatch(bare)
    if grouped is not None:
        whole, decimals = re.sub(r"[^0-9]", "", grouped["whole"]), grouped["decimals"] or "0"
        return sign * Fraction(f"{whole}.{decimals}")
    if _NUMBER.fullmatch(bare):
        return sign * Fraction(bare.replace(",", "."))
    return None


def decide_control_row(at: int, cells: list[str], lines: int, total: Fraction) -> list[FileFault]:
    """Compare `TOTAL,<count>,<sum>` with what the file holds."""
    stated = None
    if len(cells) >= 3 and len(cells[1]) <= 9 and _WHOLE.fullmatch(cells[1]):
        stated = None if _GROUPED.fullmatch(cells[2]) else _value_or_none(cells[2])
    if stated is None:
        return [FileFault(code=FileCode.CONTROL_ROW_MALFORMED, line_no=at)]
    faults = []
    count = int(cells[1])
    if count != lines:
        code = FileCode.TOTAL_ROW_COUNTED if count == lines + 1 else FileCode.COUNT_WRONG
        facts: dict[str, str | int] = {"stated": count, "found": lines}
        faults.append(FileFault(code=code, line_no=at, facts=facts))
    if stated != total:
        facts = {"stated": cells[2], "found": _decimal(total)}
        faults.append(FileFault(code=FileCode.SUM_WRONG, line_no=at, facts=facts))
    return faults


def _decimal(value: Fraction) -> str:
    whole, rest = divmod(abs(value), 1)
    digits = f"{round(rest * 100):02d}" if rest else ""
    return f"{'-' if value < 0 else ''}{whole}{'.' if digits else ''}{digits}"


def clean_name(text: str) -> str:
    """The name as the registry keeps names; plain Latin, most of them, takes the short way."""
    if text.isascii() and not _LOOSE.search(text):
        return text
    return normalise_name(text)


def _decide_number(text: str, codes: tuple[LineCode, LineCode, LineCode]) -> LineCode | None:
    short, scientific, malformed = codes
    if _WHOLE.fullmatch(text):
        return None if len(text) == 10 else short if len(text) < 10 else malformed
    return scientific if _SCIENTIFIC.fullmatch(text) else malformed


def _readable_part(block: bytes) -> tuple[str | None, FileCode | None]:
    """The lines before the first that is no UTF-8 text, and what is wrong with that one."""
    bad_at = block.find(b"\0")
    nul = bad_at >= 0
    try:
        text = (block[:bad_at] if nul else block).decode()
    except UnicodeDecodeError as error:
        bad_at, nul = error.start, False
    else:
        if not nul:
            return text, None
    start = block.rfind(b"\n", 0, bad_at) + 1
    end = block.find(b"\n", bad_at)
    line = block[start : end if end >= 0 else len(block)]
    if len(line) > LONGEST_LINE_BYTES:
        fault = FileCode.LINE_TOO_LONG
    else:
        fault = FileCode.NUL_BYTE if b"\0" in line else FileCode.NOT_UTF8
    return (block[: start - 1].decode() if start > 0 else None), fault


def _cells(text: str) -> list[str]:
    """The cells of one line, trimmed, invisible characters gone, Khmer digits as Arabic ones."""
    cells = text.rstrip("\r").split(",")
    if '"' in text:
        try:
            cells = next(csv.reader([text.rstrip("\r")], strict=True, skipinitialspace=True), [""])
        except csv.Error:
            cells = ["?"]  # an open quotation mark: not seven columns, whatever follows
    bare = [_INVISIBLE.sub("", cell).strip() for cell in cells]
    return [cell if place in (2, 3) else _plain_digits(cell) for place, cell in enumerate(bare)]


def _plain_digits(text: str) -> str:
    return text if text.isascii() else text.translate(_ARABIC_DIGITS)


_AMOUNT_BITS: Final = 40
_SHOWN: Final = 32
_SURELY_SHORT: Final = LONGEST_LINE_BYTES // 4
_PLAIN: Final = re.compile(
    r'([0-9]{10}),([0-9]{10}),([^,"=+\-@\s\u200b-\u200f\ufeff][^,"\r\t]*)'
    r',([^,"=+\-@\s\u200b-\u200f\ufeff][^,"\r\t]*)'
    r",([1-9][0-9]{0,8}),([^,\"\s]*),([^,\"\s]*)\r?"
)
_PERIOD: Final = re.compile(r"20[0-9]{2}-(?:0[1-9]|1[0-2])")
_WHOLE: Final = re.compile(r"[0-9]+")
_NUMBER: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_GROUPED: Final = re.compile(
    r"(?P<whole>[0-9]{1,3}([,. '’])[0-9]{3}(?:\2[0-9]{3})*)(?:[.,](?P<decimals>[0-9]{1,2}))?"
)
_SCIENTIFIC: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]{1,3}")
_FORMULA_STARTS: Final = frozenset("=+-@")
_TOTAL_WORDS: Final = frozenset(
    {"total", "totals", "sum", "grand total", "subtotal", "សរុប", "សរុបរួម", "ផលបូក"}
)
_LOOSE: Final = re.compile(r"^\s|\s\s|\s$|[\t\r\v\f]")
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_ARABIC_DIGITS: Final = str.maketrans("០១២៣៤៥៦៧៨៩", "0123456789")
_STAFF_CODES: Final = (
    LineCode.STAFF_NO_SHORT, LineCode.STAFF_NO_SCIENTIFIC, LineCode.STAFF_NO_MALFORMED,
)  # fmt: skip
_ACCOUNT_CODES: Final = (
    LineCode.ACCOUNT_SHORT, LineCode.ACCOUNT_SCIENTIFIC, LineCode.ACCOUNT_MALFORMED,
)  # fmt: skip
