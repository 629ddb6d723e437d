"""Beside making cards: balance, last entries, the app unlocked, a slip confirmed, other banks."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from simulators.atm import AtmAnswer, AtmHost
from tests import world
from tests.api.atm.test_cards import ask, asked, shown, taken_back
from tests.desk import Desk
from tests.wallet.cards.counter import Counter, Person
from wallet.access import otp, pins
from wallet.cards.screens import LONGEST, TEXTS, Screen
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, CardId, HolderId
from wallet.money import Money
from wallet.outcomes import Done
from wallet.registry import smart_ids
from wallet.registry.states import IdentityState
from wallet.work import SYSTEM, Work, Works

ENCODED = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$cmVzdA"
INQUIRIES = ("balance-inquiries", "mini-statements", "app-unlocks")


class Window:
    """What somebody with this card does at a machine, beside asking for a card."""

    def __init__(self, host: AtmHost, person: Person) -> None:
        self.host = host
        self.person = person
        self._asked = 0

    async def __call__(self, path: str, *, key: str | None = None, **changed: Any) -> AtmAnswer:
        self._asked += 1
        card = {"smart_id_number": self.person.holder.smart_id_number, "pin_verified": True}
        body = {**card, **changed}
        return await self.host.post(f"/v1/atm/{path}", body, key=key or f"look-{self._asked}")


@pytest.fixture
def window(host: AtmHost, person: Person) -> Window:
    return Window(host, person)


async def audited(works: Works, act: str) -> list[tuple[str | None, str | None]]:
    async def read(work: Work) -> list[tuple[str | None, str | None]]:
        rows = await work.rows("select reason, seen from audit where act = $1 order by seq", act)
        return [(row["reason"], row["seen"]) for row in rows]

    return await works.read(SYSTEM, None, read)


# the slip


async def test_a_slip_confirmed_is_noted_once_and_changes_no_card(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    card_id = CardId(
        msgspec.convert((await ask(host, asked(person, clock))).body["card_id"], CardId)
    )
    which = {name: value for name, value in taken_back(clock).items() if name != "cause"}
    first = await host.post("/v1/atm/cards/confirm", which, key="printed-1")
    assert first.status == 200
    clock.advance(timedelta(minutes=1))
    for key in ("printed-1", "printed-2"):
        again = await host.post("/v1/atm/cards/confirm", which, key=key)
        assert again.body == first.body
    assert await counter.state(card_id) == "ISSUED_PENDING_CLAIM"
    status = await host.get("/v1/atm/cards/key-1")
    assert status.body["printed_at"] == first.body["printed_at"]
    assert await audited(counter.works, "card.atm_printed") == [(None, None)]


async def test_printed_and_taken_back_are_both_kept_and_the_card_is_gone(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    await ask(host, asked(person, clock))
    await host.post("/v1/atm/cards/reverse", taken_back(clock), key="back-1")
    which = {name: value for name, value in taken_back(clock).items() if name != "cause"}
    assert (await host.post("/v1/atm/cards/confirm", which, key="printed-1")).status == 200
    assert await audited(counter.works, "card.atm_printed") == [
        ("after its reversal: CANCELLED", None)
    ]
    assert await counter.live(person) == []


async def test_nothing_made_nothing_printed(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    which = {name: value for name, value in taken_back(clock).items() if name != "cause"}
    answer = await host.post("/v1/atm/cards/confirm", which, key="printed-1")
    assert (answer.status, answer.code) == (404, "not_found")
    # it left no tombstone: the request that comes now is served; a declined one has no slip either
    assert (await ask(host, asked(person, clock))).status == 201
    body = asked(person, clock, stan="000018", pin_verified=False)
    assert (await ask(host, body, key="key-2")).status == 403
    answer = await host.post("/v1/atm/cards/confirm", {**which, "stan": "000018"}, key="printed-2")
    assert answer.code == "not_found"


async def test_a_card_its_holder_closed_unclaimed_is_no_case_when_its_atm_takes_it_back(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    card_id = (await ask(host, asked(person, clock))).body["card_id"]
    assert isinstance(await counter.do("card.close", person, card_id=card_id), Done)
    answer = await host.post("/v1/atm/cards/reverse", taken_back(clock), key="back-1")
    assert answer.body == {"result": "CANCELLED"}


async def test_a_reversal_after_the_claim_is_a_case_on_the_agents_list(
    host: AtmHost,
    phone: httpx.AsyncClient,
    person: Person,
    counter: Counter,
    clock: TurnedClock,
    desk: Desk,
) -> None:
    made = (await ask(host, asked(person, clock))).body
    slip = made["claim"]
    claim = {"reference": slip["reference"], "number_match": slip["number_match"]}
    await counter.do("card.claim", person, **claim)
    await counter.freeze(person, msgspec.convert(made["card_id"], CardId))
    for key in ("back-1", "back-2"):
        answer = await host.post("/v1/atm/cards/reverse", taken_back(clock), key=key)
        assert answer.body["result"] == "STAYS"
    await desk.enrol("dara")
    agent = await desk.session("dara")
    cases = (await phone.get("/v1/support/atm-cases", headers=agent)).json()["items"]
    assert [(one["case_number"], one["cause"]) for one in cases] == [
        (answer.body["case_number"], "printer_failed")
    ]
    assert cases[0]["rrn"] == "601209000017"
    assert cases[0]["card_last_four"] == made["last_four"]


# looking


async def test_the_balance_is_of_this_moment_and_the_look_is_told_to_its_holder(
    window: Window, person: Person, counter: Counter
) -> None:
    answer = await window("balance-inquiries", key="same")
    assert answer.status == 200
    shown_ = {wallet["currency"]: wallet for wallet in answer.body["wallets"]}
    assert shown_["KHR"]["available"]["amount_minor"] == 100_000
    assert shown_["USD"]["available"]["amount_minor"] == 0
    assert len(shown_["KHR"]["account_last_four"]) == 4
    await world.fund(counter.works, "ACLEDA", person.holder.khr, Money.khr(5_000))
    again = await window("balance-inquiries", key="same")
    assert again.body["wallets"] != answer.body["wallets"], "a repeat is a look of its own"
    assert [seen for _, seen in await audited(counter.works, "atm.balance")] == ["balance"] * 2


async def test_the_last_ten_entries_and_neither_ids_nor_account_numbers(
    window: Window, person: Person, counter: Counter
) -> None:
    paid = [
        await world.fund(counter.works, "ACLEDA", person.holder.khr, Money.khr(1_000 + place))
        for place in range(12)
    ]
    answer = await window("mini-statements", currency="KHR")
    entries = answer.body["entries"]
    assert [entry["amount"]["amount_minor"] for entry in entries] == list(range(1_011, 1_001, -1))
    assert entries[0]["balance"] == answer.body["wallet"]["available"]
    text = str(answer.body)
    for secret in (*map(str, paid), person.holder.smart_id_number, person.holder.khr_number):
        assert secret not in text


async def test_b3_3_a_mini_statement_without_entries_is_an_empty_one(window: Window) -> None:
    answer = await window("mini-statements", currency="USD")
    assert (answer.status, answer.body["entries"]) == (200, [])


@pytest.mark.parametrize("path", INQUIRIES)
async def test_whatever_is_wrong_the_screen_says_the_same(
    window: Window, person: Person, counter: Counter, path: str
) -> None:
    answers = [
        await window(path, pin_verified=False),
        await window(path, smart_id_number="9116010099999996"),
        await window(path, smart_id_number="4111111111111111"),
    ]

    async def end(work: Work) -> None:
        await smart_ids.advance(work, [person.holder.smart_id_id], IdentityState.EXPIRED)

    await counter.works.perform(SYSTEM, person.holder.bank, end)
    answers.append(await window(path))
    for answer in answers:
        assert (answer.status, answer.code) == (403, "atm_declined")
        assert answer.body["facts"] == shown(Screen.NOT_POSSIBLE)
        assert answer.body["detail"] == answers[0].body["detail"]
    other = await counter.person(bank="WING")
    answer = await window(path, smart_id_number=other.holder.smart_id_number)
    assert answer.body["facts"] == shown(Screen.OTHER_BANK)


async def test_a_frozen_smart_id_shows_no_money_but_unlocks_its_app(
    window: Window, person: Person, counter: Counter
) -> None:
    await counter.freeze_smart_id(person)
    for path in INQUIRIES[:2]:
        assert (await window(path)).body["facts"] == shown(Screen.NOT_POSSIBLE)
    assert (await window("app-unlocks")).status == 200


def test_every_screen_has_a_short_text_in_both_languages() -> None:
    assert set(TEXTS) == set(Screen)
    for text in TEXTS.values():
        assert 0 < len(text.en) <= LONGEST
        assert 0 < len(text.km) <= LONGEST
        assert any("\u1780" <= letter <= "\u17ff" for letter in text.km)


# unlocking


async def lock(works: Works, person: Person, now: Any) -> None:
    """Five wrong PINs and five wrong codes, as they lie in the tables afterwards."""

    async def act(work: Work) -> None:
        holder_id = person.holder.id
        await pins.put(work, BankId("ACLEDA"), holder_id, ENCODED)
        for _ in range(pins.FAILURES_TO_LOCK):
            pin = await pins.locked(work, holder_id)
            assert pin is not None
            await pins.count(work, holder_id, pin, right=False)
        await work.execute(
            "insert into otp_standing (holder_id, bank, consecutive_failures, locked_until)"
            " values ($1, 'ACLEDA', 5, $2) on conflict (holder_id) do update"
            " set consecutive_failures = 5, locked_until = $2",
            holder_id,
            now + otp.LOCK,
        )

    await works.perform(SYSTEM, person.holder.bank, act)


async def is_locked(works: Works, holder_id: HolderId) -> tuple[bool, bool]:
    async def read(work: Work) -> tuple[bool, bool]:
        row = await work.row(
            "select p.failures > 0 or p.locked_until is not null as pin,"
            " o.consecutive_failures > 0 or o.locked_until is not null as codes"
            " from pins p join otp_standing o using (holder_id) where holder_id = $1",
            holder_id,
        )
        assert row is not None
        return row["pin"], row["codes"]

    return await works.read(SYSTEM, None, read)


async def test_card_and_pin_unlock_the_app_three_times_a_day(
    window: Window, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    assert (await window("app-unlocks")).body["unlocked"] is False, "nothing was locked"
    for place in range(3):
        await lock(counter.works, person, clock.now())
        assert await is_locked(counter.works, person.holder.id) == (True, True)
        for _ in range(2):
            answer = await window("app-unlocks", key=f"unlock-{place}")
            assert answer.body["unlocked"] is True
        assert await is_locked(counter.works, person.holder.id) == (False, False)
    await lock(counter.works, person, clock.now())
    assert (await window("app-unlocks")).body["facts"] == shown(Screen.NOT_POSSIBLE)
    assert await is_locked(counter.works, person.holder.id) == (True, True)
    assert (await audited(counter.works, "app.unlock_declined"))[-1][0] == (
        "too many unlocks a day (terminal ATM00001)"
    )
    clock.advance(timedelta(hours=24, seconds=1))
    assert (await window("app-unlocks")).body["unlocked"] is True

    async def told(work: Work) -> int:
        count: int = await work.value(
            "select count(*)::int from events where body->>'what' = 'app_unlocked'"
        )
        return count

    assert await counter.works.read(SYSTEM, None, told) == 4


async def test_without_a_paired_phone_there_is_nothing_to_unlock(
    host: AtmHost, counter: Counter
) -> None:
    window = Window(host, await counter.person(paired=False))
    answer = await window("app-unlocks")
    assert (answer.status, answer.code) == (409, "phone_not_paired")
    assert answer.body["facts"] == shown(Screen.PAIR_A_PHONE)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("pairings/confirm", {"code": "00000000"}),
        ("phone-numbers", {"phone": "+85512345678"}),
        ("device-revocations", {}),
    ],
)
async def test_nothing_is_done_for_a_card_whose_pin_was_not_verified(
    window: Window, person: Person, counter: Counter, path: str, more: dict[str, str]
) -> None:
    answer = await window(path, pin_verified=False, **more)
    assert (answer.status, answer.code) == (403, "atm_declined")
    assert answer.body["facts"] == shown(Screen.NOT_POSSIBLE)


# other banks


async def test_b1_3_by_configuration_another_banks_card_is_served_from_its_own_banks_books(
    app: Litestar,
    host: AtmHost,
    counter: Counter,
    clock: TurnedClock,
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    guest = await counter.person(bank="WING", khr=7_000)
    open_house = dataclasses.replace(
        resources, policy=dataclasses.replace(resources.policy, atm_serves_other_banks=True)
    )
    host._client = dialled(create_app(open_house))
    body = asked(guest, clock)
    made = await ask(host, body)
    assert made.status == 201
    [card] = await counter.all_cards(guest)
    assert card.bank == "WING"
    assert (await ask(host, body, key="again")).body == made.body
    which = {**taken_back(clock), "smart_id_number": guest.holder.smart_id_number}
    back = await host.post("/v1/atm/cards/reverse", which, key="back-1")
    assert back.body == {"result": "CANCELLED"}
    balance = await Window(host, guest)("balance-inquiries")
    available = {
        one["currency"]: one["available"]["amount_minor"] for one in balance.body["wallets"]
    }
    assert available == {"KHR": 7_000, "USD": 0}
