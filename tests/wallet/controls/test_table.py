"""Precedence as a table of text: what is set, what is bought in turn, what is said (and by whom).

Each line has a bank, a holder and cards of its own; all run against one real database.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from tests.wallet.controls.steps import GROCER, put
from wallet.clock import PHNOM_PENH, TurnedClock
from wallet.controls import ControlSheet, Merchant, Purchase, Spend, open_controls
from wallet.controls.deciding import SetBy, bank_subject
from wallet.database import Database
from wallet.identifiers import BankId, CardId, HolderId, new_id
from wallet.limits import Channel, OwnLimits
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

TABLE: Final = Path(__file__).with_name("precedence.txt")
FIELDS: Final = {
    "mcc": "mccs", "merchant": "merchants", "country": "countries", "channel": "channels"
}  # fmt: skip
NINE: Final = "01-12T09:00"


def lines() -> list[tuple[int, str, str, str]]:
    found = []
    for number, line in enumerate(TABLE.read_text("utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            setup, bought, said = (part.strip() for part in line.split("|"))
            found.append((number, setup, bought, said))
    return found


class Line:
    """One line of the table, at work."""

    def __init__(self, database: Database, number: int) -> None:
        self.database = database
        self.bank = BankId(f"BANK{number}")
        self.holder = HolderId(new_id())
        self.cards = {"1": CardId(new_id()), "2": CardId(new_id())}
        self.own: OwnLimits | None = None
        self.bought: list[Purchase | None] = []

    def works(self, at: str) -> Works:
        local = datetime.fromisoformat(f"2026-{at}").replace(tzinfo=PHNOM_PENH)
        return Works(self.database, TurnedClock(local.astimezone(UTC)))

    async def set_up(self, text: str) -> None:
        sheets: dict[str, dict[str, Any]] = {}
        for part in text.split(";"):
            words = part.split()
            if words == ["-"]:
                continue
            if words[0] == "own":
                self.own = OwnLimits(daily_minor=int(words[2]))
                continue
            _rule(sheets.setdefault(words[0], {}), words[1:])
        subjects: dict[str, UUID] = {
            "bank": bank_subject(self.bank), "holder": self.holder, "card": self.cards["1"]
        }  # fmt: skip
        for by, body in sheets.items():
            sheet = msgspec.convert(body, ControlSheet)
            await put(self.works(NINE), SetBy(by), subjects[by], sheet, bank=self.bank)

    async def step(self, text: str) -> str:
        words = text.split()
        at = next((word[3:] for word in words if word.startswith("at=")), NINE)
        works = self.works(at)

        async def back(work: Work) -> str:
            earlier = self.bought[int(words[1]) - 1]
            assert earlier is not None
            kept = None
            if "keep" in words:
                kept = Money(int(words[words.index("keep") + 1]), earlier.amount.currency)
            controls = await open_controls(work, [], given_back=[earlier])
            controls.give_back(earlier, kept)
            await controls.write()
            return "-"

        async def buy(work: Work) -> str:
            purchase = self.purchase(words, work.now)
            self.bought.append(purchase)
            controls = await open_controls(work, [purchase])
            declined = None if "forced" in words else controls.decide(purchase)
            if declined is None:
                controls.count(purchase)
            await controls.write()
            return "-" if "forced" in words else _said(declined)

        act = back if words[0] == "back" else buy
        if act is back:
            self.bought.append(None)
        return await works.perform(SYSTEM, self.bank, act)

    def purchase(self, words: list[str], moment: datetime) -> Purchase:
        told = dict(word.split("=") for word in words if "=" in word)
        shop = replace(
            GROCER,
            id=told.get("shop", "GROCER"),
            mcc=told.get("mcc", "5411"),
            country=told.get("in", "KH"),
        )
        assert isinstance(shop, Merchant)
        return Purchase(
            id=new_id(),
            card_id=self.cards[told.get("card", "1")],
            holder_id=self.holder,
            amount=Money(int(words[0]), Currency(words[1])),
            merchant=shop,
            channel=Channel(told.get("by", "online")),
            moment=moment,
            own=self.own,
            another="more" not in words,
        )


def _rule(sheet: dict[str, Any], words: list[str]) -> None:
    if words[0] in FIELDS:
        listed = sheet.setdefault(FIELDS[words[0]], {})
        listed[words[1]] = [] if words[2] == "-" else words[2:]
    elif words[0] == "hours":
        stretches = sheet.setdefault("hours", [])
        if words[1] != "never":
            begin, end = words[2].split("-")
            stretches.append({"days": [int(d) for d in words[1]], "begin": begin, "end": end})
    else:
        window, currency, most, *each = words
        counts = most.startswith("x") or most == "nullx"
        number = None if most.startswith("null") else int(most.removeprefix("x"))
        spend = {"window": window, "currency": currency}
        if number is not None:
            spend["most_count" if counts else "most_minor"] = number  # type: ignore[assignment]
        if each:
            spend["per"] = "holder"
        msgspec.convert(spend, Spend)
        sheet.setdefault("spend", []).append(spend)


def _said(declined: Declined | None) -> str:
    if declined is None:
        return "ok"
    facts = declined.facts
    parts = [declined.reason.value, facts.get("set_by", "-"), facts.get("rule", facts.get("limit"))]
    left = facts.get("left_minor", facts.get("left_count", facts.get("opens_at")))
    return " ".join(str(part) for part in parts if part is not None) + (
        "" if left is None else f" {left}"
    )


async def test_what_is_set_decides_what_is_said_line_by_line(database: Database) -> None:
    wrong = []
    table = lines()
    assert len(table) >= 60
    for number, setup, bought, expected in table:
        line = Line(database, number)
        await line.set_up(setup)
        said = [await line.step(one) for one in re.split(r",\s+", bought)]
        if said != re.split(r",\s+", expected):
            wrong.append(f"line {number}: {setup} | {bought} | said {', '.join(said)}")
    assert wrong == []


async def test_a_minute_of_the_table_is_a_minute_in_phnom_penh() -> None:
    """The table's own clock: nine in the morning there is two in Greenwich."""
    local = datetime.fromisoformat(f"2026-{NINE}").replace(tzinfo=PHNOM_PENH)
    assert local.astimezone(UTC) - datetime(2026, 1, 12, tzinfo=UTC) == timedelta(hours=2)
