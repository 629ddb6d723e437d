"""The salary CSV read strictly: each bad case answered by its line number, none of them raised."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wallet.salary.file import (
    COLUMNS,
    LONGEST_LINE_BYTES,
    MOST_LINES,
    ReadLine,
    SalaryReader,
    Totals,
)
from wallet.salary.findings import FileCode, LineCode, file_sentence, line_sentence

HEADER = ",".join(COLUMNS)
KHMER = "សុខ សុវណ្ណារ៉ា"


def person(number: int, amount: object = 1_309_477, **other: str) -> str:
    cells = {
        "staff_no": f"{number:010d}",
        "account_no": f"{9_000_000_000 + number}",
        "name_latin": "SOK Sovannara",
        "name_khmer": KHMER,
        "amount_khr": str(amount),
        "period": "2026-01",
        "half": "1",
        **other,
    }
    return ",".join(cells.values())


def document(*lines: str, total: str | None = None, header: str = HEADER) -> bytes:
    rows = [header, *lines]
    if total is None:
        total = f"TOTAL,{len(lines)},{1_309_477 * len(lines)}"
    if total:
        rows.append(total)
    return ("\n".join(rows) + "\n").encode()


def read(data: bytes, chunk: int = 65_536) -> tuple[list[ReadLine], Totals]:
    reader = SalaryReader()
    lines: list[ReadLine] = []
    for start in range(0, len(data), chunk):
        lines += reader.feed(data[start : start + chunk])
    lines += reader.finish()
    return lines, reader.totals()


def codes(data: bytes) -> dict[int, LineCode]:
    return {line.line_no: line.code for line in read(data)[0] if line.code is not None}


def faults(data: bytes) -> list[tuple[FileCode, int]]:
    return [(fault.code, fault.line_no) for fault in read(data)[1].faults]


def test_a_good_file_is_read_line_by_line() -> None:
    lines, totals = read(document(person(1), person(2)))
    assert [line.line_no for line in lines] == [2, 3]
    assert [line.amount_minor for line in lines] == [1_309_477, 1_309_477]
    assert (totals.period, totals.half, totals.lines) == ("2026-01", 1, 2)
    assert totals.sum_minor == 2_618_954
    assert totals.faults == ()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_with_or_without_byte_order_mark_and_either_line_end(mark: bytes, ends: bytes) -> None:
    lines, totals = read(mark + document(person(1)).replace(b"\n", ends))
    assert [line.code for line in lines] == [None]
    assert lines[0].name_khmer == KHMER
    assert totals.faults == ()


def test_the_last_line_needs_no_line_end() -> None:
    assert read(document(person(1)).rstrip(b"\n"))[1].faults == ()


def test_empty_rows_and_empty_trailing_cells_of_spreadsheets_are_overlooked() -> None:
    data = document(person(1) + ",,", ",,,,,,", "", total="TOTAL,1,1309477,,,,")
    lines, totals = read(data + b",,,,,,\r\n\r\n")
    assert [line.code for line in lines] == [None]
    assert totals.faults == ()


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", LineCode.AMOUNT_ZERO),
        ("000", LineCode.AMOUNT_ZERO),
        ("-5000", LineCode.AMOUNT_NEGATIVE),
        ("-1.5", LineCode.AMOUNT_NEGATIVE),
        ("1309477.50", LineCode.AMOUNT_FRACTIONAL),
        ("1309477.00", LineCode.AMOUNT_FRACTIONAL),
        ('"1309477,50"', LineCode.AMOUNT_FRACTIONAL),
        ('"1,309,477"', LineCode.AMOUNT_GROUPED),
        ("1,309,477", LineCode.AMOUNT_GROUPED),
        ("1.309.477", LineCode.AMOUNT_GROUPED),
        ("1 309 477", LineCode.AMOUNT_GROUPED),
        ('"1,309,477.00"', LineCode.AMOUNT_GROUPED),
        ("=SUM(A1)", LineCode.FORMULA_CELL),
        ("+1309477", LineCode.FORMULA_CELL),
        ("@1309477", LineCode.FORMULA_CELL),
        ("1.3E+06", LineCode.AMOUNT_MALFORMED),
        ("riel", LineCode.AMOUNT_MALFORMED),
        ("", LineCode.AMOUNT_MALFORMED),
        ("½", LineCode.AMOUNT_MALFORMED),
        ("٣", LineCode.AMOUNT_MALFORMED),
        ("100000001", LineCode.AMOUNT_TOO_LARGE),
        ("9" * 400, LineCode.AMOUNT_TOO_LARGE),
    ],
)
def test_an_amount_that_is_not_whole_riel_rejects_its_line(amount: str, code: LineCode) -> None:
    assert codes(document(person(1), person(2, amount), person(3))) == {3: code}


def test_khmer_digits_are_read_as_digits() -> None:
    line = "០០០០០០០០០១,៩០០០០០០០០១,SOK Sovannara,សុខ សុវណ្ណារ៉ា,១៣០៩៤៧៧,២០២៦-០១,១"
    lines, totals = read(document(line, total="TOTAL,១,១៣០៩៤៧៧"))
    assert lines[0].staff_no == "0000000001"
    assert lines[0].account_no == "9000000001"
    assert lines[0].amount_minor == 1_309_477
    assert (totals.period, totals.half, totals.faults) == ("2026-01", 1, ())


def test_zero_width_spaces_in_names_disappear() -> None:
    written = "\u200bសុខ\u200b សុវ\u200cណ្ណារ៉ា\ufeff"
    lines, _ = read(document(person(1, name_khmer=written, name_latin="SOK\u200b  Sovannara ")))
    assert (lines[0].code, lines[0].name_khmer) == (None, KHMER)
    assert lines[0].name_latin == "SOK Sovannara"


def test_zero_width_spaces_in_numbers_disappear() -> None:
    lines, _ = read(document(person(1, staff_no="0000\u200b000001")))
    assert (lines[0].code, lines[0].staff_no) == (None, "0000000001")


@pytest.mark.parametrize("cell", ["=HYPERLINK(1)", "+855", "-cmd", "@SUM(1)", "\u200b=1", ' "=1"'])
@pytest.mark.parametrize("column", ["name_latin", "name_khmer", "staff_no", "account_no"])
def test_a_formula_cell_rejects_its_line(cell: str, column: str) -> None:
    assert codes(document(person(1), person(2, **{column: cell}))) == {3: LineCode.FORMULA_CELL}


def test_a_person_twice_is_rejected_the_second_time_naming_the_first() -> None:
    lines, totals = read(document(person(1), person(2), person(1)))
    assert (lines[2].code, lines[2].other_line) == (LineCode.DUPLICATE_PERSON, 2)
    assert totals.conflicting == ()


def test_a_person_twice_with_different_amounts_leaves_the_first_in_doubt_too() -> None:
    _, totals = read(document(person(1), person(2), person(1, 1_400_000)))
    assert totals.conflicting == (2,)


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("account_no", "1.23E+11", LineCode.ACCOUNT_SCIENTIFIC),
        ("account_no", "1E+09", LineCode.ACCOUNT_SCIENTIFIC),
        ("account_no", "123456789", LineCode.ACCOUNT_SHORT),
        ("account_no", "12345678901", LineCode.ACCOUNT_MALFORMED),
        ("account_no", "90000O0001", LineCode.ACCOUNT_MALFORMED),
        ("account_no", "", LineCode.ACCOUNT_MALFORMED),
        ("staff_no", "17", LineCode.STAFF_NO_SHORT),
        ("staff_no", "1.00E+09", LineCode.STAFF_NO_SCIENTIFIC),
        ("staff_no", "A000000001", LineCode.STAFF_NO_MALFORMED),
        ("name_khmer", "", LineCode.NAME_MISSING),
        ("name_latin", "\u200b", LineCode.NAME_MISSING),
    ],
)
def test_a_number_spoilt_by_a_spreadsheet_rejects_its_line(
    column: str, cell: str, code: LineCode
) -> None:
    assert codes(document(person(1), person(2, **{column: cell}))) == {3: code}


@pytest.mark.parametrize("line", ["x", "1,2,3", person(2) + ",more", '"' + person(2)])
def test_a_line_without_the_seven_columns_is_rejected(line: str) -> None:
    assert codes(document(person(1), line)) == {3: LineCode.COLUMNS_WRONG}


@pytest.mark.parametrize(
    "line", ["TOTAL,,,,2618954,2026-01,1", ",,សរុប,,2618954,,", "សរុប,2,2618954"]
)
def test_a_total_row_written_as_a_person_is_rejected(line: str) -> None:
    data = document(person(1), person(2), line)
    assert codes(data) == {4: LineCode.TOTAL_ROW_AS_PERSON}


def test_a_total_row_that_counts_itself_is_told_apart_from_a_wrong_count() -> None:
    counted = document(person(1), person(2), total="TOTAL,3,2618954")
    assert faults(counted) == [(FileCode.TOTAL_ROW_COUNTED, 4)]
    wrong = document(person(1), person(2), total="TOTAL,5,2618954")
    assert faults(wrong) == [(FileCode.COUNT_WRONG, 4)]


def test_a_wrong_sum_refuses_the_file_and_says_both_sums() -> None:
    _, totals = read(document(person(1), person(2), total="TOTAL,2,2618955"))
    fault = totals.faults[0]
    assert (fault.code, fault.line_no) == (FileCode.SUM_WRONG, 4)
    assert fault.facts == {"stated": "2618955", "found": "2618954"}


def test_control_totals_are_over_rejected_lines_too() -> None:
    data = document(person(1), person(2, "-477"), person(3, "x"), total="TOTAL,3,1309000")
    assert faults(data) == []
    assert set(codes(data)) == {3, 4}


def test_a_missing_control_row_refuses_the_file() -> None:
    assert faults(document(person(1), total="")) == [(FileCode.CONTROL_ROW_MISSING, 2)]


@pytest.mark.parametrize("row", ["TOTAL", "TOTAL,1", "TOTAL,one,1309477", 'TOTAL,1,"1,309,477"'])
def test_a_malformed_control_row_refuses_the_file(row: str) -> None:
    assert faults(document(person(1), total=row)) == [(FileCode.CONTROL_ROW_MALFORMED, 3)]


def test_lines_after_the_control_row_refuse_the_file() -> None:
    data = document(person(1)) + person(2).encode()
    assert faults(data) == [(FileCode.LINES_AFTER_TOTAL, 4)]


@pytest.mark.parametrize("header", ["", person(1), HEADER.replace(",", ";"), "staff_no," + HEADER])
def test_a_wrong_header_refuses_the_file(header: str) -> None:
    assert faults(document(person(2), header=header)) == [(FileCode.HEADER_WRONG, 1)]


def test_an_empty_file_and_one_without_lines_are_refused() -> None:
    assert faults(b"") == [(FileCode.EMPTY, 0)]
    assert (FileCode.EMPTY, 2) in faults(document())


def test_legacy_bytes_refuse_the_file_at_their_line() -> None:
    data = document(person(1), person(2)).replace(KHMER.encode(), b"suvN\xd1ra \xe9", 1)
    lines, totals = read(data)
    assert lines == []
    assert [(f.code, f.line_no) for f in totals.faults] == [(FileCode.NOT_UTF8, 2)]


def test_nul_bytes_and_utf16_refuse_the_file_at_their_line() -> None:
    assert faults(document(person(1), "a\0b")) == [(FileCode.NUL_BYTE, 3)]
    assert faults(document(person(1)).decode().encode("utf-16-le")) == [(FileCode.NUL_BYTE, 1)]


def test_a_super_long_line_refuses_the_file_at_its_line() -> None:
    long = person(2, name_latin="A" * LONGEST_LINE_BYTES)
    assert faults(document(person(1), long)) == [(FileCode.LINE_TOO_LONG, 3)]


@pytest.mark.parametrize(
    ("period", "half"), [("2026-13", "1"), ("01/2026", "1"), ("2026-01", "3"), ("", "")]
)
def test_a_period_that_is_none_refuses_the_file(period: str, half: str) -> None:
    data = document(person(1, period=period, half=half))
    assert faults(data) == [(FileCode.PERIOD_INVALID, 2)]


def test_two_periods_in_one_file_refuse_it_at_the_first_other_line() -> None:
    data = document(person(1), person(2), person(3, half="2"), person(4, period="2025-12"))
    assert faults(data) == [(FileCode.PERIOD_MIXED, 4)]


def test_fifty_megabytes_of_garbage_are_refused_at_once_in_bounded_memory() -> None:
    noise = bytes(range(256)) * 4096
    for piece in (noise, b"x" * (1 << 20), b"a,b,c\n" * 170_000):
        reader, fed = SalaryReader(), 0
        reader.feed(HEADER.encode() + b"\n")
        tracemalloc.start()
        while not reader.stopped and fed < 50 << 20:
            reader.feed(piece)
            fed += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert reader.totals().faults
        assert fed <= 1 << 20
        assert peak < 120 << 20


def test_most_lines_unreadable_stops_the_reading() -> None:
    data = document(*(person(n, "1,309,477") for n in range(3000)))
    assert faults(data) == [(FileCode.NOT_SALARY_LINES, 1002)]


def test_more_lines_than_any_institution_has_stop_the_reading() -> None:
    reader = SalaryReader()
    reader.feed(HEADER.encode() + b"\n" * MOST_LINES)
    reader.feed((person(1) + "\n" + person(2) + "\n").encode())
    assert [fault.code for fault in reader.totals().faults] == [FileCode.TOO_MANY_LINES]


def test_every_code_has_both_sentences() -> None:
    for line_code in LineCode:
        assert line_sentence(line_code).en
        assert line_sentence(line_code).km
    for file_code in FileCode:
        assert file_sentence(file_code).en
        assert file_sentence(file_code).km


cell = st.one_of(
    st.sampled_from(
        [*person(1).split(","), "0000000002", "-1", "1.5", "TOTAL", "2", "=1", '"', ""]
    ),
    st.text(max_size=12),
)
almost_files = st.builds(
    lambda rows: "\n".join([HEADER, *(",".join(row) for row in rows)]).encode("utf-8", "ignore"),
    st.lists(st.lists(cell, max_size=9), max_size=12),
)


@settings(max_examples=150, deadline=None)
@given(data=st.one_of(st.binary(max_size=4000), almost_files), cut=st.integers(1, 97))
def test_any_bytes_are_answered_and_the_cutting_does_not_matter(data: bytes, cut: int) -> None:
    whole = read(data, max(len(data), 1))
    assert read(data, cut) == whole
    lines, totals = whole
    assert len({line.line_no for line in lines}) == len(lines) <= totals.lines
    assert all(line.amount_minor > 0 for line in lines if line.code is None)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 400), piece=st.binary(min_size=1, max_size=6), cut=st.integers(1, 97))
def test_a_good_file_with_any_bytes_put_in_is_answered(place: int, piece: bytes, cut: int) -> None:
    good = document(person(1), person(2), person(3))
    place = min(place, len(good))
    data = good[:place] + piece + good[place:]
    assert read(data, cut) == read(data, len(data))
