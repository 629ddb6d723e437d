"""Balances, entries and statements at the phones' door: one's own, exact, and in right Khmer."""

import asyncio
import csv
import io
import re
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pypdfium2
import pytest
import typst
from litestar import Litestar

from api.app import create_app
from api.mobile import statement_files, statement_words, statements
from api.mobile.statement_files import Holder, Typesetter
from api.resources import Resources
from tests import world
from tests.api.signed_in import SignedIn
from tests.world import WorldHolder
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId
from wallet.ledger.book import TransferKind
from wallet.ledger.month import Month, MonthStatement
from wallet.money import Currency, Money

BORDER = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)
"""Midnight in Phnom Penh after 31 January."""


class Phone:
    """One holder's phone."""

    def __init__(
        self, client: httpx.AsyncClient, headers: dict[str, str], holder: WorldHolder
    ) -> None:
        self._client = client
        self._headers = headers
        self.holder = holder

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self._client.get(f"/v1/mobile{path}", headers=self._headers, params=query)

    async def statement(self, name: str, account: int | None = None) -> httpx.Response:
        return await self.get(f"/accounts/{account or self.holder.khr}/statements/{name}")


@pytest.fixture
async def phones(
    resources: Resources, dialled: Callable[[Litestar], httpx.AsyncClient], clock: TurnedClock
) -> tuple[Phone, Phone]:
    """Two holders of one bank: the first paid on 12 and 31 January and on 1 February."""
    works = resources.works
    holder = await world.holder(works, khr=1_000_000, language="en")
    other = await world.holder(works, khr=5, language="en")
    for moment, riel in ((BORDER - timedelta(seconds=1), 300_000), (BORDER, 7_000)):
        clock.advance(moment - clock.now())
        await world.fund(works, holder.bank, holder.khr, Money.khr(riel))
    clock.advance(timedelta(hours=1))
    app = create_app(resources)
    signed_in, client = SignedIn(app, clock), dialled(app)
    mine, theirs = (Phone(client, signed_in.headers(who), who) for who in (holder, other))
    return mine, theirs


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_a_month_as_csv_starts_and_ends_at_phnom_penh_midnight(
    phones: tuple[Phone, Phone],
) -> None:
    phone, _ = phones
    answer = await phone.statement("2026-01.csv")
    assert answer.content.startswith(b"\xef\xbb\xbf"), "spreadsheets need the mark to see Khmer"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "statement-2026-01-KHR.csv" in answer.headers["content-disposition"]
    rows = rows_of(answer)
    assert [(row["row"], row["money_in"], row["money_out"], row["balance"]) for row in rows] == [
        ("opening", "", "", "0"),
        ("entry", "1000000", "", "1000000"),
        ("entry", "300000", "", "1300000"),
        ("closing", "1300000", "0", "1300000"),
    ]
    assert rows[2]["at"] == "2026-01-31T23:59:59+07:00"
    assert {row["holder_khmer"] for row in rows} == {phone.holder.name_khmer}
    february = rows_of(await phone.statement("2026-02.csv"))
    assert [(row["row"], row["balance"]) for row in february] == [
        ("opening", "1300000"),
        ("entry", "1307000"),
        ("closing", "1307000"),
    ]
    dollars = rows_of(await phone.statement("2026-01.csv", phone.holder.usd))
    assert [(row["row"], row["balance"]) for row in dollars] == [
        ("opening", "0.00"),
        ("closing", "0.00"),
    ]


async def test_a_month_as_pdf_has_names_page_numbers_and_the_same_sums(
    phones: tuple[Phone, Phone],
) -> None:
    phone, _ = phones
    answer = await phone.statement("2026-01.pdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    text = words_of(answer.content)
    for wanted in (phone.holder.name_latin, phone.holder.khr_number, "1,300,000", "300,000",
                   "2026-01-31", "23:59", "Page 1 of 1", "Not final"):  # fmt: skip
        assert wanted in text, wanted
    # Opening row of the summary, closing and its line, money in and its total, the last entry.
    assert text.count("1,300,000") == 5
    empty = await phone.statement("2026-01.pdf", phone.holder.usd)
    assert "No entries this month" in words_of(empty.content)


async def test_another_holders_account_is_as_good_as_none(phones: tuple[Phone, Phone]) -> None:
    """API1:2023, broken object level authorisation: four ways in."""
    mine, theirs = phones
    account = theirs.holder.khr
    for path in (
        f"/accounts/{account}/statements/2026-01.csv",
        f"/accounts/{account}/statements/2026-01.pdf",
        f"/accounts/{account}/balance",
        f"/accounts/{account}/entries",
    ):
        answer = await mine.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert (await theirs.get(path)).status_code == 200
        assert (await mine.get(path.replace(str(account), "987654321"))).json() == answer.json()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("2025-12.csv", "statement_month_invalid"),
        ("2026-03.pdf", "statement_month_invalid"),
        ("2026-13.csv", "statement_month_invalid"),
        ("2026-1.csv", "statement_month_invalid"),
        ("..csv", "statement_month_invalid"),
        ("2026-01.xlsx", "not_found"),
        ("2026-01", "not_found"),
        (".csv", "statement_month_invalid"),
        ("x" * 900 + ".pdf", "statement_month_invalid"),
    ],
)
async def test_a_bad_month_or_form_is_told(
    phones: tuple[Phone, Phone], name: str, code: str
) -> None:
    answer = await phones[0].statement(name)
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] == code
    if code == "statement_month_invalid":
        assert "from 2026-01 to 2026-02" in answer.json()["detail"]["en"]


async def test_the_balance_at_a_moment_and_the_balance_on_every_line(
    phones: tuple[Phone, Phone],
) -> None:
    phone, _ = phones
    path = f"/accounts/{phone.holder.khr}/balance"

    async def at(moment: str) -> int:
        answer = await phone.get(path, at=moment)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["posted"]["amount_minor"])

    assert await at("2026-01-12T01:00:00Z") == 0
    assert await at("2026-01-31T16:59:58Z") == 1_000_000
    assert await at("2026-01-31T16:59:59Z") == 1_300_000
    assert await at("2026-02-01T00:00:00+07:00") == 1_307_000
    assert (await phone.get(path)).json()["available"]["display"] == "1,307,000 KHR"
    for bad in ("2026-02-01T00:00:00", "2027-01-01T00:00:00Z", "yesterday", "", "9" * 1_000):
        answer = await phone.get(path, at=bad)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), bad
    page = (await phone.get(f"/accounts/{phone.holder.khr}/entries", limit="2")).json()
    rest = (await phone.get(f"/accounts/{phone.holder.khr}/entries", cursor=page["next"])).json()
    balances = [item["balance"]["amount_minor"] for item in (*page["items"], *rest["items"])]
    assert balances == [1_307_000, 1_300_000, 1_000_000]
    for bad in ("AAAA", "!", "k6k"):
        answer = await phone.get(f"/accounts/{phone.holder.khr}/entries", cursor=bad)
        assert answer.json()["code"] == "cursor_invalid"


async def test_a_month_longer_than_a_file_may_be_is_refused(
    phones: tuple[Phone, Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "PDF_MOST", 1)
    answer = await phones[0].statement("2026-01.pdf")
    assert (answer.status_code, answer.json()["code"]) == (422, "statement_too_long")
    assert (await phones[0].statement("2026-01.csv")).status_code == 200


async def test_files_are_made_beside_the_others_and_too_many_are_told_to_wait(
    phones: tuple[Phone, Phone],
) -> None:
    """A blocked event loop would answer nobody; the press holds eight and refuses the ninth."""
    phone, _ = phones
    going = [asyncio.create_task(phone.statement("2026-01.pdf")) for _ in range(14)]
    slowest = 0.0
    while not all(task.done() for task in going):
        start = time.perf_counter()
        await asyncio.sleep(0.002)
        slowest = max(slowest, time.perf_counter() - start)
    answers = [task.result() for task in going]
    codes = [answer.status_code for answer in answers]
    assert codes.count(200) >= statements.WAITING_MOST
    assert set(codes) <= {200, 503}
    busy = [answer for answer in answers if answer.status_code == 503]
    assert all(answer.headers["retry-after"] == "2" for answer in busy)
    assert slowest < 0.5, f"the event loop stood for {slowest:.2f} s"
    assert (await phone.statement("2026-01.pdf")).status_code == 200


def test_no_cell_of_a_csv_is_a_formula() -> None:
    """OWASP, CSV injection: names come from files of agencies."""
    for name in ("=HYPERLINK(1)", "+1", "-2", "@SUM(A1)", "\t=1", "  =1", "\r=1"):
        text = statement_files.as_csv(empty_statement(), holder(name)).decode("utf-8-sig")
        cells = [row["holder_latin"] for row in csv.DictReader(io.StringIO(text, newline=""))]
        assert cells == [f"'{name}"] * 2


@pytest.fixture(scope="module")
def typesetter() -> Typesetter:
    return Typesetter()


SYLLABLES = {"ក្រុម": "ក្រុ", "ស្ត្រី": "ស្ត្រី", "ព្រះ": "ព្រះ", "ខ្មែរ": "ខ្មែ", "សុវណ្ណារ៉ា": "", "ភ្នំពេញ": ""}
"""Subscripts below and before (coeng ro), vowels written before what they follow."""


@pytest.mark.parametrize("word", SYLLABLES)
def test_khmer_is_shaped_and_can_be_read_back(typesetter: Typesetter, word: str) -> None:
    """A syllable is set as other glyphs than its letters one by one; where the glyphs' order is
    another, the letters stand beside them (ActualText), for search and screen readers."""
    pdf = typesetter.as_pdf(empty_statement(), holder("X", word))
    assert SYLLABLES[word] in khmer_of(pdf)
    # A space that joins nothing between all letters keeps them from being shaped together.
    apart = typesetter.as_pdf(empty_statement(), holder("X", "\u200c".join(word)))
    assert pixels(pdf) != pixels(apart)


def test_what_a_holder_is_called_is_no_markup(typesetter: Typesetter) -> None:
    name = '#read("/etc/passwd") *x* $y$ \\ [z] #panic("boom") "'
    assert '#read("/etc/passwd") *x* $y$ \\ [z]' in words_of(
        typesetter.as_pdf(empty_statement(), holder(name))
    )


def test_the_template_can_read_nothing_but_the_font(typesetter: Typesetter) -> None:
    with pytest.raises(typst.TypstError):
        typesetter._compiler.compile(b'#read("/../METADATA")', format="pdf")
    with pytest.raises(typst.TypstError):
        typesetter._compiler.compile(b'#read("/../../../../../../../etc/hostname")', format="pdf")


def test_every_kind_of_transfer_has_its_words() -> None:
    assert {kind.value for kind in TransferKind} <= set(statement_words.KINDS)
    assert statement_words.of_kind("new_kind") == (statement_words.UNKNOWN, "New kind")


def empty_statement() -> MonthStatement:
    nothing = Money.khr(0)
    return MonthStatement(
        account_id=AccountId(1),
        number="1100123453",
        month=Month(year=2026, month=1),
        currency=Currency.KHR,
        opening=nothing,
        closing=nothing,
        came=nothing,
        went=nothing,
        lines=[],
        until=BORDER,
        final=True,
    )


def holder(latin: str, khmer: str = "សុខ") -> Holder:
    return Holder(name_latin=latin, name_khmer=khmer, bank="ACLEDA")


def words_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def khmer_of(pdf: bytes) -> str:
    """The letters that stand beside the glyphs of the whole document, spaces left out."""
    content = b"".join(
        zlib.decompress(found.group(1))
        for found in re.finditer(rb"/FlateDecode>>\s*stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
        if b"ActualText" in _inflated(found.group(1))
    )
    shown = re.findall(rb"ActualText<FEFF([0-9A-F]*)>", content)
    return "".join(bytes.fromhex(one.decode()).decode("utf-16-be") for one in shown)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


def pixels(pdf: bytes) -> bytes:
    image = pypdfium2.PdfDocument(pdf)[0].render(scale=2).to_pil()
    return bytes(image.crop((0, 0, image.width, image.height // 4)).tobytes())
