"""User story A3, a virtual card in the app: made, shown, used, declined with its reason at once.
And all that may go wrong with it."""

import asyncio
from datetime import timedelta

import pytest

from notifications.delivery import deliver_next
from notifications.live import waker
from tests.api.mobile.listening import listening
from tests.scenarios.conftest import BOOKS, CAFE, Scene
from tests.wallet.authorisations.till import RATE
from tests.wallet.limits.steps import put_in_force
from wallet import terms
from wallet.registry import smart_ids
from wallet.registry.holders import HolderStatus
from wallet.registry.leaving import leave
from wallet.registry.smart_ids import IdentityState
from wallet.work import SYSTEM, Work


async def rates(scene: Scene) -> None:
    await put_in_force(scene.resources.works, scene.phone.clock, terms.Sort.RATES, RATE)


async def deliver(scene: Scene) -> None:
    """What the worker does all the time."""
    async with asyncio.timeout(5):
        while not await deliver_next(scene.resources.works, waker(scene.resources.redis)):
            await asyncio.sleep(0.01)


async def test_ok_made_shown_to_the_phone_and_used_at_once(scene: Scene) -> None:
    asked = await scene.phone.ask("card.create", currency="KHR", label="Lunch", kind="single_use")
    assert "Lunch" in asked.json()["text"]["en"]
    card_id = await scene.phone.card(currency="KHR", label="Lunch", kind="single_use")
    revealed = await scene.phone.do("card.reveal", card_id=card_id)
    details = scene.phone.pocket.key.decrypt(revealed["jwe"])
    keyed = {"number": details["number"], "expiry": details["expires"], "cvv": details["cvv"]}
    bought = await scene.buy(card_id, 9_000, card=keyed)
    assert bought["approved"], bought
    assert (await scene.buy(card_id, 9_000))["reason"] == "card_spent"
    for path in (f"/cards/{card_id}", "/purchases", "/inbox"):
        assert details["number"] not in str(await scene.read(path))


async def test_a3_1_the_sixth_card(scene: Scene) -> None:
    made = [(await scene.phone.ask("card.create", currency="KHR")).json()["facts"]]
    for _ in range(5):
        await scene.phone.card(currency="KHR")
    sixth = await scene.phone.ask("card.create", currency="KHR")
    assert (sixth.status_code, sixth.json()["code"]) == (409, "card_limit_reached")
    assert made[0]["live_cards"] == 0
    # the fourth and the fifth cost what was shown and signed: 12,000 riel each
    assert await scene.riel() == (976_000, 976_000)


async def test_a3_2_dollars_from_riel_alone_rate_and_fee_first_or_declined(scene: Scene) -> None:
    plain = await scene.phone.card(currency="KHR")
    await rates(scene)
    no = await scene.buy(plain, 500, currency="USD")
    assert no["reason"] == "card_currency_differs"
    shown = (await scene.phone.ask("card.create", currency="KHR", exchange=True)).json()
    assert "4,100" in shown["text"]["en"]
    card_id = await scene.phone.card(currency="KHR", exchange=True)
    yes = (await scene.buy(card_id, 500, currency="USD", key="T|1"))["answer"]
    assert (yes["rate_hundredths"], yes["spread_bps"]) == (410_000, 100)
    assert yes["cardholder_minor"] == 20_705  # 5 dollars at 4,100 and one in a hundred
    await scene.say("clear", original="T|1", amount_minor=500, currency="USD")
    newest = (await scene.read("/purchases"))["items"][0]
    whole = await scene.read(f"/purchases/{newest['id']}")
    assert whole["purchase"]["cardholder"]["amount_minor"] == 20_705
    assert whole["purchase"]["rate"] == {"mid_hundredths": 410_000, "spread_bps": 100}
    assert await scene.riel() == (979_295, 979_295)


async def test_a3_3_the_code_of_another_act(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    code = scene.phone.code()
    create = (await scene.phone.ask("card.create", currency="KHR")).json()
    reveal = (await scene.phone.ask("card.reveal", card_id=card_id)).json()
    assert (await scene.phone.sign(create, code)).status_code == 200
    again = await scene.phone.sign(reveal, code)
    assert again.json()["code"] in ("otp_wrong", "otp_reused")


async def test_a3_4_a_double_tap(scene: Scene) -> None:
    code = scene.phone.code()
    shown = (await scene.phone.ask("card.create", currency="KHR")).json()
    taps = await asyncio.gather(*(scene.phone.sign(shown, code) for _ in range(3)))
    assert {tap.status_code for tap in taps} <= {200, 409}
    assert len({tap.json()["answer"]["card"]["id"] for tap in taps if tap.status_code == 200}) == 1
    assert len((await scene.read("/cards"))["items"]) == 1
    other = await scene.phone.post("/intents", {"kind": "card.create", "fields": {}})
    assert other.status_code in (400, 422)


@pytest.mark.parametrize("end", ["frozen", "expired", "by date", "retired"])
async def test_a3_5_its_smart_id_stops_it(scene: Scene, end: str) -> None:
    card_id = await scene.phone.card(currency="KHR")
    holder, works, clock = scene.holder, scene.resources.works, scene.phone.clock

    async def act(work: Work) -> None:
        if end == "retired":
            await leave(work, [holder.id], HolderStatus.RETIRED)
        else:
            await smart_ids.advance(work, [holder.smart_id_id], IdentityState.EXPIRED)

    if end == "frozen":
        await scene.phone.post("/smart-id/freeze")
    elif end == "by date":
        clock.advance(timedelta(days=3_653))
    else:
        await works.perform(SYSTEM, holder.bank, act)
    told = await scene.buy(card_id, 1_000)
    assert (
        told["reason"]
        in {
            "frozen": ["smart_id_frozen"],
            "expired": ["smart_id_not_active"],
            "by date": ["card_expired", "smart_id_not_active"],
            "retired": ["smart_id_not_active"],
        }[end]
    )
    assert told["sentence_en"]
    assert told["sentence_km"]


async def test_a3_6_it_never_outlives_its_smart_id(scene: Scene) -> None:
    ends = (await scene.read("/smart-id"))["expires_on"]
    card_id = await scene.phone.card(currency="KHR")
    assert (await scene.read(f"/cards/{card_id}"))["expires_on"] <= ends


async def test_a_decline_is_on_the_phone_the_moment_it_happens(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    await scene.phone.post(f"/cards/{card_id}/freeze")
    await deliver(scene)
    async with listening(scene.app, scene.phone.headers) as live:
        assert (await scene.buy(card_id, 1_000))["reason"] == "card_frozen"
        await deliver(scene)
        while (heard := await live.next(10.0))["kind"] != "purchase.declined":
            pass
    assert "Unfreeze it in the app" in heard["text"]
    [newest, *_] = (await scene.read("/inbox"))["items"]
    assert newest["kind"] == "purchase.declined"
    [listed] = (await scene.read("/purchases"))["items"]
    assert listed["declined"]["next_step"] == "unfreeze_card"
    assert listed["merchant"] == CAFE["name"]


async def test_out_of_pattern_is_asked_on_the_phone_and_the_retry_passes(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    first = await scene.buy(card_id, 30_000, merchant=BOOKS)
    assert first["reason"] == "purchase_unconfirmed"
    await deliver(scene)
    [asked] = (await scene.read("/purchase-questions"))["items"]
    assert asked["challenge_id"] == first["facts"]["challenge_id"]
    await scene.phone.do("purchase.confirm", challenge_id=asked["challenge_id"])
    assert (await scene.buy(card_id, 30_000, merchant=BOOKS))["approved"]
    assert (await scene.read("/purchase-questions"))["items"] == []
    assert await scene.riel() == (1_000_000, 970_000)
