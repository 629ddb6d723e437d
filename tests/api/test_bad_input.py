"""Bad input at the doors, reason by reason: each its own, no money moved, nothing kept, no fault.

What a phone asks wrongly leaves no byte in any table. What a network tells wrongly is remembered
(the same message is answered the same), and moves nothing: money's own tables stay as they were.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Policy, Resources
from tests import world
from tests.api.signed_in import SignedIn
from tests.behind import changed, every_table
from tests.wallet.cards.counter import Counter
from tests.wallet.limits.steps import put_in_force
from tests.wallet.qr_steps import code_of
from tests.world import WorldHolder
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.exchange import RateSheet
from wallet.identifiers import CardId, TransferId, new_id
from wallet.ledger.book import Posted, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency
from wallet.qr import pay_me
from wallet.terms import Sort
from wallet.work import SYSTEM, Work

CAFE = {"id": "KH000000000CAFE", "name": "Kafé Ânkor", "mcc": "5814"}
BEYOND = str(2**63)
LONG = "x" * 1_000
MONEYS_OWN = {
    "accounts",
    "transfers",
    "open_holds",
    "reversals",
    "shortfalls",
    "limit_counters",
    "open_authorisations",
    "qr_payments",
    "topups",
    "exchanges",
    "virtual_cards",
}


class Door:
    """A holder's phone and an imagined network, over HTTP; `other` has a wallet too."""

    def __init__(
        self, client: httpx.AsyncClient, signed_in: SignedIn, resources: Resources
    ) -> None:
        self.client, self.signed_in = client, signed_in
        self.database, self.works = resources.database, resources.works
        self.holder: WorldHolder
        self.other: WorldHolder
        self.card_id: CardId

    async def post(self, path: str, body: Any, who: WorldHolder | None = None) -> httpx.Response:
        headers = {
            **self.signed_in.headers(who or self.holder),
            "idempotency-key": str(new_id()),
        }
        return await self.client.post(path, headers=headers, json=body)

    async def intent(self, kind: str, who: WorldHolder | None = None, **fields: Any) -> Any:
        return await self.post("/v1/mobile/intents", {"kind": kind, "fields": fields}, who)

    async def say(self, verb: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"/v1/sim/{verb}", json={"bank": "ACLEDA", **body})

    async def buy(self, key: str, minor: int = 1_000) -> dict[str, Any]:
        first = {"card": {"id": str(self.card_id)}, "merchant": CAFE, "amount_minor": minor}
        answer = await self.say("authorise", key=key, **first)
        assert answer.json()["approved"], answer.text
        return dict(answer.json())

    async def code(self, holder: WorldHolder, currency: Currency) -> str:
        return await self.works.perform(
            SYSTEM, holder.bank, lambda work: pay_me(work, holder.id, currency)
        )

    async def close(self, holder: WorldHolder) -> None:
        """Close a wallet that is empty."""

        async def act(work: Work) -> None:
            suspense = await house_account(work, AccountKind.SUSPENSE, Currency.KHR)
            book = await open_book(work, accounts=[holder.khr, suspense])
            closed = book.close(TransferId(new_id()), holder.khr, suspense)
            assert isinstance(closed, Posted)
            await book.write()

        await self.works.perform(SYSTEM, holder.bank, act)


@pytest.fixture
async def door(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    clock: TurnedClock,
) -> Door:
    app = create_app(replace(resources, policy=Policy(host="wallet.smartid.test", simulation=True)))
    made = Door(dialled(app), SignedIn(app, clock), resources)
    await put_in_force(
        resources.works, clock, Sort.RATES, RateSheet(mid_hundredths=400_000, spread_bps=0)
    )
    counter = Counter(resources.works, resources.vault, clock, CardRules())
    person = await counter.person(khr=100_000, usd=5_000, language="en")
    made.holder, made.card_id = person.holder, await counter.card(person, "KHR")
    made.other = await world.holder(resources.works)
    return made


async def unchanged(
    door: Door, ask: Callable[[], Awaitable[httpx.Response]], tables: set[str] | None = None
) -> httpx.Response:
    """Ask, and see that no byte of all tables, or of these, is another."""
    before = await every_table(door.database)
    answer = await ask()
    differ = changed(before, await every_table(door.database))
    assert not (differ if tables is None else differ & tables), (differ, answer.text)
    assert answer.status_code < 500, answer.text
    return answer


AMOUNTS = {
    "zero": ("0", "amount_invalid"),
    "negative": ("-5", "amount_invalid"),
    "beyond int64": (BEYOND, "amount_invalid"),
    "beyond int64 below zero": (f"-{BEYOND}", "amount_invalid"),
    "a fraction of a riel": ("0.5", "amount_invalid"),
    "an exponent": ("1e3", "amount_invalid"),
    "no number": ("NaN", "amount_invalid"),
    "a thousand characters": ("9" * 1_000, "invalid_request"),
}


@pytest.mark.parametrize("what", AMOUNTS)
async def test_an_amount_that_is_none_is_told_so_by_every_kind(
    door: Door, clock: TurnedClock, what: str
) -> None:
    amount, wanted = AMOUNTS[what]
    told = {}
    for kind, fields in (
        ("qr.pay", {"code": code_of(clock, amount=None)}),
        ("exchange", {"currency": "KHR"}),
        ("topup.buy", {"currency": "KHR", "phone": "012 345 600"}),
    ):
        answer = await unchanged(door, lambda k=kind, f=fields: door.intent(k, **f, amount=amount))
        assert answer.status_code in (400, 422), answer.text
        told[kind] = answer.json()["code"]
    allowed = {
        wanted,
        "amount_invalid",
        "amount_out_of_range",
        "invalid_request",
        "amount_zero",
        "product_unknown",
    }
    assert set(told.values()) <= allowed, told
    assert told


async def test_what_a_phone_asks_wrongly_leaves_no_byte(door: Door, clock: TurnedClock) -> None:
    own = await door.code(door.holder, Currency.KHR)
    cases: dict[str, tuple[Callable[[], Awaitable[httpx.Response]], int, str]] = {
        "own account both sides": (
            lambda: door.intent("qr.pay", code=own, amount="100"), 422, "qr_own_code"
        ),
        "other currency": (
            lambda: door.intent("exchange", amount="5", currency="EUR"), 400, "invalid_request"
        ),
        "unknown account": (
            lambda: door.client.get(
                "/v1/mobile/accounts/999999/entries", headers=door.signed_in.headers(door.holder)
            ), 404, "not_found"
        ),
        "somebody else's account": (
            lambda: door.client.get(
                f"/v1/mobile/accounts/{door.other.khr}/entries",
                headers=door.signed_in.headers(door.holder),
            ), 404, "not_found"
        ),
        "an account beyond int64": (
            lambda: door.client.get(
                f"/v1/mobile/accounts/{BEYOND}/entries",
                headers=door.signed_in.headers(door.holder),
            ), 404, "not_found"
        ),
        "an unknown transaction": (
            lambda: door.post(
                "/v1/mobile/disputes",
                {"transaction_id": str(new_id()), "reason": "OTHER", "statement": "What is it?"},
            ), 404, "not_found"
        ),
        "an id of a thousand characters": (
            lambda: door.post(
                "/v1/mobile/disputes",
                {"transaction_id": LONG, "reason": "OTHER", "statement": "What is it?"},
            ), 400, "invalid_request"
        ),
        "a kind of a thousand characters": (
            lambda: door.intent(LONG), 400, "invalid_request"
        ),
        "a code of a thousand characters": (
            lambda: door.intent("qr.pay", code=LONG, amount="5"), 422, "qr_invalid"
        ),
    }  # fmt: skip
    for what, (ask, status, code) in cases.items():
        answer = await unchanged(door, ask)
        assert (answer.status_code, answer.json()["code"]) == (status, code), what


async def test_from_or_into_what_is_closed_or_frozen_nothing_is_begun(door: Door) -> None:
    into = await door.code(door.other, Currency.KHR)
    await door.close(door.other)
    for who, code in (
        (door.holder, into),
        (door.other, await door.code(door.holder, Currency.KHR)),
    ):
        answer = await unchanged(
            door, lambda w=who, c=code: door.intent("qr.pay", w, code=c, amount="100")
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "account_closed")
    frozen = await door.post("/v1/mobile/smart-id/freeze", {})
    assert frozen.status_code == 200
    code = await door.code(await world.holder(door.works), Currency.KHR)
    answer = await unchanged(door, lambda: door.intent("qr.pay", code=code, amount="100"))
    assert answer.json()["code"] == "smart_id_frozen"


async def test_what_a_network_tells_wrongly_moves_no_money(door: Door, clock: TurnedClock) -> None:
    for key in ("open", "reversed", "cleared", "over"):
        await door.buy(key)
    assert (await door.say("reverse", key="r1", original="reversed")).json()["approved"]
    taken = await door.say("clear", key="c1", original="cleared", amount_minor=1_000)
    assert taken.json()["approved"], taken.text
    card = {"card": {"id": str(door.card_id)}, "merchant": CAFE}
    nobodys = {"card": {"id": str(new_id())}, "merchant": CAFE}
    await _moves_nothing(
        door,
        {
            "unknown account": ("authorise", {**nobodys, "amount_minor": 5}, "card_unknown"),
            "beyond what is there": (
                "authorise", {**card, "amount_minor": 100_000}, "insufficient_funds"
            ),
            "wrong pending id": (
                "increment", {"original": "nothing", "amount_minor": 5}, "original_not_found"
            ),
            "wrong pending id, of a return": (
                "return-reversal", {"original": "no", "amount_minor": 5}, "original_not_found"
            ),
            "double resolution": (
                "increment", {"original": "reversed", "amount_minor": 5}, "hold_already_voided"
            ),
            "double resolution, cleared": (
                "increment", {"original": "cleared", "amount_minor": 5}, "hold_already_captured"
            ),
            # what undoes is never turned down, and undoes nothing a second time
            "double resolution, reversed twice": ("reverse", {"original": "reversed"}, None),
            "double resolution, expired after": ("expire", {"original": "cleared"}, None),
            "same key, other content": (
                "authorise", {**card, "key": "cleared", "amount_minor": 7}, "message_differs"
            ),
            # messages are told apart by kind and key: this is the reversal of a purchase to come
            "cycle": ("reverse", {"key": "cycle", "original": "cycle"}, None),
            "cycle, its purchase": (
                "authorise", {**card, "key": "cycle", "amount_minor": 5}, "reversed_first"
            ),
        },
    )  # fmt: skip
    clock.advance(timedelta(days=8))
    await _moves_nothing(
        door,
        {
            "expired hold": ("increment", {"original": "over", "amount_minor": 5}, "hold_expired"),
        },
    )


Told = dict[str, tuple[str, dict[str, Any], str | None]]
"""Verb, message, and the reason it is declined for."""


async def _moves_nothing(door: Door, cases: Told) -> None:
    for what, (verb, body, reason) in cases.items():
        answer = await unchanged(door, lambda v=verb, b=body: door.say(v, **b), MONEYS_OWN)
        assert answer.status_code == 200, (what, answer.text)
        assert answer.json()["reason"] == reason, (what, answer.text)


async def test_a_message_that_is_none_is_refused_and_not_remembered(door: Door) -> None:
    card = {"card": {"id": str(door.card_id)}, "merchant": CAFE}
    for what, body in {
        "negative": {**card, "amount_minor": -1},
        "beyond int64": {**card, "amount_minor": 2**63},
        "a float": {**card, "amount_minor": 1.5},
        "no such currency": {**card, "amount_minor": 5, "currency": "EUR"},
        "a key of a thousand characters": {**card, "key": LONG, "amount_minor": 5},
        "an original of a thousand characters": {"original": LONG, "amount_minor": 5},
    }.items():
        for verb in ("authorise", "clear", "force", "return"):
            answer = await unchanged(door, lambda v=verb, b=body: door.say(v, **b))
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), what
