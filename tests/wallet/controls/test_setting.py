"""A holder's own controls: tightening takes a signature, loosening a code as well."""

from datetime import timedelta
from typing import Any

import pytest

from tests import world
from tests.desk import hashing, throttle
from tests.phones import Pocket
from tests.wallet.controls.steps import ACLEDA, Buy, buy, later, said
from wallet.access.intents import Asked, IntentKind
from wallet.controls import (
    Channels,
    ControlSheet,
    Countries,
    Hours,
    Mccs,
    Merchants,
    OwnedCard,
    Spend,
    kinds,
    wording,
)
from wallet.controls.setting import SetCardControls, SetHolderControls
from wallet.controls.sheets import loosens
from wallet.identifiers import CardId, HolderId, new_id
from wallet.limits import Channel, Window
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

__all__ = ["hashing", "throttle"]

DAY = ControlSheet(spend=(Spend(window=Window.DAY, currency=Currency.KHR, most_minor=100),))
TIGHTER = ControlSheet(spend=(Spend(window=Window.DAY, currency=Currency.KHR, most_minor=99),))
NOTHING = ControlSheet()
_A_STEP = timedelta(seconds=30)


class Hand:
    """A holder's hand on the phone, setting controls of one card."""

    def __init__(self, pocket: Pocket, card_id: CardId, secret: str) -> None:
        self.pocket, self.card_id, self.secret = pocket, card_id, secret
        self.card, self.holder = kinds(self._owners)

    async def _owners(self, work: Work, card_ids: Any) -> dict[CardId, OwnedCard]:
        known = {self.card_id: OwnedCard(holder_id=self.pocket.holder.id, last_four="4242")}
        return {card_id: known[card_id] for card_id in card_ids if card_id in known}

    async def asks(self, sheet: ControlSheet | None = None, **about: Any) -> dict[str, Any]:
        fields = SetCardControls(card_id=about.pop("card_id", self.card_id), sheet=sheet, **about)
        return await self.pocket.prepare(self.card, fields)

    async def signs(self, shown: dict[str, Any], *, kind: IntentKind | None = None) -> Outcome:
        needed = shown["needs"]["otp"] == "required"
        self.pocket.works.clock.advance(_A_STEP)  # type: ignore[attr-defined]
        code = self.pocket.totp(self.secret) if needed else None
        return await self.pocket.authorise(kind or self.card, shown, code=code)

    async def sets(self, sheet: ControlSheet | None = None, **about: Any) -> dict[str, Any]:
        outcome = await self.signs(await self.asks(sheet, **about))
        assert isinstance(outcome, Done), outcome
        answer: dict[str, Any] = outcome.answer["controls"]
        return answer


@pytest.fixture
async def hand(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Hand:
    holder = await world.holder(works, khr=1_000_000, vault=vault)
    pocket = await Pocket(works, teller, vault, holder, throttle=throttle).pair()
    return Hand(pocket, CardId(new_id()), await pocket.enrol_totp())


@pytest.fixture
def one(hand: Hand) -> Buy:
    return Buy(holder=hand.pocket.holder, card_id=hand.card_id, money=Money.khr(100))


async def test_tightening_needs_no_code_and_holds_from_the_next_purchase_on(
    works: Works, hand: Hand, one: Buy
) -> None:
    shown = await hand.asks(DAY)
    assert shown["needs"]["otp"] == "none"
    assert "at most 100 KHR a day" in shown["text"]["en"]
    assert "មិនលើស ១០០ រៀល ក្នុងមួយថ្ងៃ" in shown["text"]["km"]
    assert isinstance(await hand.signs(shown), Done)
    assert said(await buy(works, one, later(one))) == ["held", "limit_exceeded"]
    assert (await hand.asks(TIGHTER))["needs"]["otp"] == "none"


async def test_loosening_asks_for_a_code_and_is_refused_without_one(
    works: Works, hand: Hand, one: Buy
) -> None:
    await hand.sets(TIGHTER)
    shown = await hand.asks(DAY)
    assert shown["needs"]["otp"] == "required"
    assert shown["facts"]["looser"] == 1
    with pytest.raises(Refused) as refused:
        await hand.pocket.authorise(hand.card, shown)
    assert refused.value.reason is Reason.OTP_REQUIRED
    assert said(await buy(works, one)) == ["limit_exceeded"]
    assert isinstance(await hand.signs(shown), Done)
    assert said(await buy(works, one)) == ["held"]


LOOSER: list[tuple[ControlSheet, ControlSheet]] = [
    (DAY, NOTHING),
    (ControlSheet(mccs=Mccs(deny=("7995",))), NOTHING),
    (ControlSheet(mccs=Mccs(deny=("7990-7999",))), ControlSheet(mccs=Mccs(deny=("7991-7999",)))),
    (ControlSheet(mccs=Mccs(allow=("5411",))), ControlSheet(mccs=Mccs(allow=("5411", "5412")))),
    (ControlSheet(merchants=Merchants(allow=())), NOTHING),
    (ControlSheet(countries=Countries(allow=("KH",))),
     ControlSheet(countries=Countries(deny=("US",)))),
    (ControlSheet(channels=Channels(deny=(Channel.ATM,))),
     ControlSheet(channels=Channels(deny=(Channel.POS,)))),
    (ControlSheet(hours=()), ControlSheet(hours=(Hours(days=(1,), begin="09:00", end="09:01"),))),
    (ControlSheet(hours=(Hours(days=(1,), begin="22:00", end="02:00"),)),
     ControlSheet(hours=(Hours(days=(1, 2), begin="22:00", end="01:00"),))),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), LOOSER)
def test_every_sort_of_rule_taken_away_is_a_loosening(
    before: ControlSheet, after: ControlSheet
) -> None:
    assert loosens(before, after)
    assert not loosens(NOTHING, before)


async def test_what_was_signed_as_tightening_is_not_done_when_another_version_came_between(
    works: Works, hand: Hand, one: Buy
) -> None:
    """Against nothing a day of 100 tightens; against a day of 99 it would loosen without a code."""
    shown = await hand.asks(DAY)
    await hand.sets(TIGHTER)
    outcome = await hand.signs(shown)
    assert isinstance(outcome, Declined)
    assert (outcome.reason, outcome.facts["in_force"]) == (Reason.CONFLICT, 1)
    assert said(await buy(works, one)) == ["limit_exceeded"]


async def test_an_earlier_version_is_brought_back_by_its_number(
    works: Works, hand: Hand, one: Buy
) -> None:
    await hand.sets(DAY)
    await hand.sets(TIGHTER)
    with pytest.raises(Refused, match="not_found"):
        await hand.asks(version=7)
    back = await hand.sets(version=1)
    assert back["version"] == 3
    assert said(await buy(works, one)) == ["held"]


async def test_the_sheet_of_all_cards_concerns_each_of_them(
    works: Works, hand: Hand, one: Buy
) -> None:
    shown = await hand.pocket.prepare(hand.holder, SetHolderControls(sheet=DAY))
    assert "all your cards" in shown["text"]["en"]
    assert isinstance(await hand.signs(shown, kind=hand.holder), Done)
    answers = await buy(works, one, later(one, card_id=CardId(new_id()), money=Money.khr(1)))
    assert said(answers) == ["held", "limit_exceeded"]


NONSENSE: list[dict[str, Any]] = [
    {},
    {"sheet": NOTHING, "version": 1},
    {"sheet": ControlSheet(mccs=Mccs(deny=("7999-7990",)))},
    {"sheet": ControlSheet(hours=(Hours(days=(), begin="09:00", end="10:00"),))},
    {"sheet": ControlSheet(hours=(Hours(days=(1,), begin="09:00", end="09:00"),))},
    {"sheet": ControlSheet(hours=(Hours(days=(1,), begin="24:00", end="09:00"),))},
    {"sheet": ControlSheet(merchants=Merchants(deny=tuple(f"SHOP{n}" for n in range(21))))},
    {"sheet": ControlSheet(
        spend=(Spend(window=Window.PAYMENT, currency=Currency.KHR, most_count=2),)
    )},
]  # fmt: skip


@pytest.mark.parametrize("about", NONSENSE)
async def test_a_sheet_that_makes_no_sense_is_refused_with_its_field(
    hand: Hand, about: dict[str, Any]
) -> None:
    asked = SetCardControls(card_id=hand.card_id, **about)

    async def prepare(work: Work) -> Any:
        pocket = hand.pocket
        wish = Asked(
            holder_id=pocket.holder.id,
            device_id=pocket.device_id,
            bank=ACLEDA,
            language="en",
            fields=asked,
        )
        return (await hand.card.prepare(work, [wish]))[0]

    refused = await hand.pocket.works.perform(SYSTEM, ACLEDA, prepare)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.INVALID_REQUEST
    assert refused.facts["field"]


async def test_somebody_elses_card_is_as_unknown_as_none(hand: Hand) -> None:
    with pytest.raises(Refused, match="not_found"):
        await hand.asks(DAY, card_id=CardId(new_id()))


async def test_a_change_is_audited_and_told_to_its_holder(works: Works, hand: Hand) -> None:
    await hand.sets(TIGHTER)
    await hand.sets(DAY)

    async def left_behind(work: Work) -> tuple[list[Any], list[Any]]:
        told = await work.rows("select body from events where kind = 'controls.changed'")
        noted = await work.rows(
            "select holder_id, subject, actor_kind from audit where act = 'card.controls'"
        )
        return [row["body"]["looser"] for row in told], [tuple(row) for row in noted]

    told, noted = await works.read(SYSTEM, ACLEDA, left_behind)
    assert told == [False, True]
    holder_id: HolderId = hand.pocket.holder.id
    assert noted == [(holder_id, str(hand.card_id), "holder")] * 2


def test_every_rule_of_a_sheet_stands_in_the_words_that_are_signed() -> None:
    sheet = ControlSheet(
        spend=(
            Spend(window=Window.LIFETIME, currency=Currency.USD, most_minor=0, most_count=3),
            Spend(window=Window.PAYMENT, currency=Currency.KHR, most_minor=5_000),
        ),
        channels=Channels(allow=(Channel.ONLINE, Channel.RECURRING)),
        countries=Countries(deny=("US",)),
        mccs=Mccs(allow=("5411", "3000-3299")),
        merchants=Merchants(allow=()),
        hours=(Hours(days=(6, 7), begin="22:00", end="02:00"),),
    )
    said = wording.setting("4242", sheet)
    for part in (
        "at most 0.00 USD in all", "at most 3 purchases in USD in all", "5,000 KHR a purchase",
        "only these channels: online, recurring", "not these countries: US", "5411, 3000-3299",
        "only these merchants: none", "only Sat Sun from 22:00 to 02:00", "•••• 4242",
    ):  # fmt: skip
        assert part in said.en
    for part in ("សរុបទាំងអស់", "ទិញមិនលើស 3 ដង", "អនឡាញ", "US", "5411, 3000-3299", "គ្មាន",
                 "សៅរ៍ អាទិត្យ", "•••• 4242"):  # fmt: skip
        assert part in said.km
    assert wording.setting("", NOTHING).en == "Remove all your own controls of all your cards."
