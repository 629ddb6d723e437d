"""User story A7, a lost card: frozen in two taps, salary lands, virtual cards go on or stop as the
holder chooses, another one takes over. And all that may go wrong with it."""

import asyncio
from datetime import date, timedelta
from itertools import count
from typing import Any, Final

import httpx
import pytest

from notifications.delivery import deliver_next
from tests.scenarios.conftest import BOOKS, CAFE, Scene
from tests.wallet.cards.counter import card_id_of
from wallet.cards.following import follow
from wallet.identifiers import CardId, SmartIdId, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.smart_ids import IdentityState, Party, PaymentState, SmartId
from wallet.work import SYSTEM, Work

_TAPS: Final = count(1)
NAMED: Final = {"id": CAFE["id"], "name": CAFE["name"]}


async def tap(scene: Scene, key: str | None = None, **body: Any) -> httpx.Response:
    """The holder freezes, each time anew unless a key is given."""
    headers = {**scene.phone.headers, "idempotency-key": key or f"tap-{next(_TAPS)}"}
    return await scene.client.post("/v1/mobile/smart-id/freeze", headers=headers, json=body or None)


async def frozen_by_bank(scene: Scene) -> None:
    ids = [scene.holder.smart_id_id]
    await scene.resources.works.perform(
        SYSTEM, scene.holder.bank, lambda w: smart_ids.freeze_payment(w, ids, by=Party.BANK)
    )


async def told(scene: Scene) -> list[str]:
    """The inbox, newest first."""

    async def wake(_: Any) -> None: ...

    while await deliver_next(scene.resources.works, wake):
        pass
    return [entry["text"] for entry in (await scene.read("/inbox"))["items"]]


async def replaced(scene: Scene) -> SmartIdId:
    """The agency has another one printed and handed over; the old one is revoked."""
    holder, new = scene.holder, SmartIdId(new_id())

    async def act(work: Work) -> None:
        await smart_ids.advance(work, [holder.smart_id_id], IdentityState.REVOKED)
        fresh = SmartId(
            id=new,
            bank=holder.bank,
            holder_id=holder.id,
            identity_state=IdentityState.HANDED_OVER,
            payment_state=PaymentState.INACTIVE,
            issued_on=date(2026, 1, 12),
            expires_on=date(2036, 1, 12),
        )
        number = smart_ids.SealedNumber(sealed=b"x" * 64, index=new.bytes, last_four="7777")
        await smart_ids.bring_in(work, [fresh], {new: number})
        await smart_ids.advance(work, [new], IdentityState.VALID)

    await scene.resources.works.perform(SYSTEM, holder.bank, act)
    await scene.resources.works.perform(SYSTEM, holder.bank, lambda w: follow(w, holder.id))
    return new


async def test_ok_frozen_salary_lands_and_the_replacement_takes_over(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR", daily_limit_minor=50_000)
    assert (await scene.buy(card_id, 20_000))["approved"]
    frozen = (await scene.phone.post("/smart-id/freeze")).json()["smart_id"]
    assert (frozen["payment_state"], frozen["identity_state"]) == ("FROZEN", "VALID")
    declined = await scene.buy(card_id, 1_000)
    assert declined["reason"] == "smart_id_frozen"
    listed = (await scene.read("/purchases"))["items"]
    [no] = [one["declined"] for one in listed if one["declined"]]
    assert no["next_step"] == "unfreeze_smart_id"
    await scene.salary(300_000)
    assert await scene.riel() == (1_300_000, 1_280_000)
    # until the agency hands over another one nothing is paid; then the same cards go on
    await replaced(scene)
    assert (await scene.buy(card_id, 20_000))["approved"]
    over = await scene.buy(card_id, 20_000)
    assert (over["reason"], over["facts"]["left_minor"]) == ("limit_exceeded", 10_000)


async def test_a7_1_a_freeze_racing_purchases_is_before_or_after_each(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    buying = [asyncio.create_task(scene.buy(card_id, 1_000)) for _ in range(8)]
    await asyncio.sleep(0)
    freezing = asyncio.create_task(scene.phone.post("/smart-id/freeze"))
    assert (await freezing).status_code == 200
    late = [await scene.buy(card_id, 1_000) for _ in range(3)]
    assert [one["reason"] for one in late] == ["smart_id_frozen"] * 3
    told = await asyncio.gather(*buying)
    assert {one["reason"] for one in told} <= {None, "smart_id_frozen"}
    allowed = sum(one["approved"] for one in told)
    assert await scene.riel() == (1_000_000, 1_000_000 - 1_000 * allowed)


async def test_a7_2_a_thief_with_the_phone_does_not_unfreeze(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    await scene.phone.post("/smart-id/freeze")
    shown = (await scene.phone.ask("smart_id.unfreeze")).json()
    assert (await scene.phone.sign(shown)).json()["code"] == "otp_required"
    assert (await scene.phone.sign(shown, "000000")).json()["code"] == "otp_wrong"
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"
    assert (await scene.phone.sign(shown, scene.phone.code())).status_code == 200
    assert (await scene.buy(card_id, 1_000))["approved"]


async def test_a7_3_the_old_card_found_after_its_replacement_is_worth_nothing(
    scene: Scene,
) -> None:
    card_id = await scene.phone.card(currency="KHR")
    await scene.phone.post("/smart-id/freeze")
    new = await replaced(scene)
    holder, works = scene.holder, scene.resources.works
    at_machine = await scene.counter.at_atm(scene.counter.request(scene.person))
    assert isinstance(at_machine, Declined)
    assert at_machine.reason is Reason.ATM_DECLINED

    async def prove(work: Work) -> None:
        vault = scene.resources.vault
        await smart_ids.valid_by_number(work, vault, holder.smart_id_number)

    with pytest.raises(Refused, match="smart_id_not_active"):  # nor does it pair a phone
        await works.read(SYSTEM, holder.bank, prove)
    (answer,) = await works.perform(
        SYSTEM,
        holder.bank,
        lambda w: smart_ids.unfreeze_payment(w, [holder.smart_id_id], by=Party.BANK),
    )
    assert isinstance(answer, Refused)
    shown = await scene.read("/smart-id")
    assert (shown["id"], shown["payment_state"]) == (str(new), "ACTIVE")
    assert (await scene.buy(card_id, 1_000))["approved"]


async def test_ok_the_virtual_cards_go_on_where_their_holder_keeps_them(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR", daily_limit_minor=50_000)
    assert (await scene.buy(card_id, 20_000))["approved"]
    kept = (await tap(scene, keep_cards=True)).json()["smart_id"]
    assert (kept["payment_state"], kept["identity_state"], kept["cards_kept"]) == (
        "FROZEN",
        "VALID",
        True,
    )
    assert "virtual cards go on, as you chose" in (await told(scene))[0]
    card = await scene.read(f"/cards/{card_id}")
    assert (card["state"], card["frozen_by"]) == ("ACTIVE", [])
    # what is there goes on, within the very limits it had
    assert (await scene.buy(card_id, 20_000))["approved"]
    over = await scene.buy(card_id, 20_000)
    assert (over["reason"], over["facts"]["left_minor"]) == ("limit_exceeded", 10_000)
    assert "jwe" in await scene.phone.do("card.reveal", card_id=card_id)
    new = (await scene.phone.do("card.replace", card_id=card_id))["card"]
    assert (await scene.buy(new["id"], 5_000))["approved"]
    # nothing new begins, and the lost card itself pays nowhere
    assert (await scene.phone.ask("card.create", currency="USD")).json()["code"] == (
        "smart_id_frozen"
    )
    at_machine = await scene.counter.at_atm(scene.counter.request(scene.person))
    assert isinstance(at_machine, Declined)
    await scene.salary(300_000)
    assert await scene.riel() == (1_300_000, 1_255_000)
    # found again: everything as it was
    thawed = await scene.phone.do("smart_id.unfreeze")
    assert (thawed["smart_id"]["payment_state"], thawed["smart_id"]["cards_kept"]) == (
        "ACTIVE",
        False,
    )


async def test_a_replacement_keeps_limits_shops_standing_uses_and_controls(scene: Scene) -> None:
    own: dict[str, Any] = {"daily_limit_minor": 50_000, "uses_per_day": 5}
    first = await scene.phone.card(currency="KHR", **own)
    assert (await scene.buy(first, 20_000, recurring=True))["approved"]
    sheet = {"mccs": {"deny": ["7995"]}}
    await scene.phone.do("card.controls", card_id=first, sheet=sheet)
    now = (await scene.phone.do("card.replace", card_id=first))["card"]["id"]
    locked = await scene.phone.card(currency="KHR", kind="merchant_locked", merchant=NAMED)
    before = [await scene.read(f"/cards/{one}") for one in (now, locked)]
    await tap(scene)
    new = await replaced(scene)
    assert (await scene.read("/smart-id"))["id"] == str(new)
    assert [await scene.read(f"/cards/{one}") for one in (now, locked)] == before
    # the shop that charges the number before the last goes on, within what the day has counted
    again = await scene.buy(first, 20_000, recurring=True)
    assert again["approved"], again
    left = (again["answer"]["limit_left_minor"], again["answer"]["limit_left_count"])
    assert left == (10_000, 3)
    assert (await scene.buy(now, 20_000))["reason"] == "limit_exceeded"
    assert (await scene.buy(first, 1_000))["reason"] == "card_replaced"
    assert (await scene.buy(locked, 1_000, merchant=BOOKS))["reason"] == "card_merchant_locked"
    assert (await scene.buy(locked, 1_000))["approved"]
    bets = {**CAFE, "mcc": "7995"}
    assert (await scene.buy(now, 1_000, merchant=bets))["reason"] == "mcc_not_allowed"
    shown = await scene.read(f"/cards/{now}/controls")
    assert shown["card"]["sheet"]["mccs"]["deny"] == ["7995"]


async def test_the_safe_side_needs_no_choice_and_a_retry_changes_none(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    kept = await tap(scene, "lost", keep_cards=True)
    again = await tap(scene, "lost", keep_cards=True)
    assert again.json() == kept.json()
    assert (await tap(scene, "lost")).json()["code"] == "idempotency_key_reused"
    assert (await tap(scene, keep_cards=True)).json() == kept.json()
    assert (await tap(scene, keep_cards="yes")).status_code == 400
    assert (await scene.buy(card_id, 1_000))["approved"]
    # stopping the cards too is one tap; what is told anew is told once
    stopped = (await tap(scene)).json()["smart_id"]
    assert (stopped["payment_state"], stopped["cards_kept"]) == ("FROZEN", False)
    assert (await tap(scene)).json()["smart_id"] == stopped
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"
    card = await scene.read(f"/cards/{card_id}")
    assert (card["state"], card["frozen_by"]) == ("FROZEN", ["SMART_ID"])
    frozen = [text for text in await told(scene) if text.startswith("Your Smart ID")]
    assert [("go on" in text) for text in frozen] == [False, True]
    # the first answer of a key stays its answer, whatever has happened since
    assert (await tap(scene, "lost", keep_cards=True)).json() == kept.json()
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"


async def test_cards_that_stopped_go_on_by_signature_and_code_alone(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    await tap(scene)
    no = await tap(scene, keep_cards=True)
    assert (no.status_code, no.json()["code"]) == (409, "smart_id_cards_stopped")
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"
    shown = (await scene.phone.ask("smart_id.unfreeze", cards_only=True)).json()
    assert "stays frozen" in shown["text"]["en"]
    assert (await scene.phone.sign(shown)).json()["code"] == "otp_required"
    assert (await scene.phone.sign(shown, "000000")).json()["code"] == "otp_wrong"
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"
    done = (await scene.phone.sign(shown, scene.phone.code())).json()["answer"]["smart_id"]
    assert (done["payment_state"], done["cards_kept"]) == ("FROZEN", True)
    assert (await scene.buy(card_id, 1_000))["approved"]
    at_machine = await scene.counter.at_atm(scene.counter.request(scene.person))
    assert isinstance(at_machine, Declined)


async def test_a_choice_of_the_holder_ends_where_the_bank_stops_the_smart_id(
    scene: Scene,
) -> None:
    card_id = await scene.phone.card(currency="KHR")
    shown = (await scene.phone.ask("smart_id.unfreeze", cards_only=True)).json()
    await tap(scene, keep_cards=True)
    await frozen_by_bank(scene)
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"
    no = await tap(scene, keep_cards=True)
    assert (no.status_code, no.json()["code"]) == (403, "forbidden")
    late = await scene.phone.sign(shown, scene.phone.code())
    assert late.json()["code"] == "forbidden"
    asked = await scene.phone.ask("smart_id.unfreeze", cards_only=True)
    assert asked.json()["code"] == "forbidden"
    assert (await scene.read("/smart-id"))["cards_kept"] is False
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_frozen"


@pytest.mark.parametrize("end", ["blocked", "revoked", "expired"])
async def test_what_ends_the_smart_id_ends_the_choice(scene: Scene, end: str) -> None:
    card_id = await scene.phone.card(currency="KHR")
    await tap(scene, keep_cards=True)
    works, bank, ids = scene.resources.works, scene.holder.bank, [scene.holder.smart_id_id]
    if end == "blocked":
        await works.perform(SYSTEM, bank, lambda w: smart_ids.block(w, ids, by=Party.BANK))
    else:
        to = IdentityState.REVOKED if end == "revoked" else IdentityState.EXPIRED
        await works.perform(SYSTEM, bank, lambda w: smart_ids.advance(w, ids, to))
    assert (await scene.buy(card_id, 1_000))["reason"] == "smart_id_not_active"
    shown = await scene.read("/smart-id")
    assert (shown["payment_state"], shown["cards_kept"]) == ("BLOCKED", False)
    assert (await tap(scene, keep_cards=True)).json()["code"] == "smart_id_not_active"


async def test_one_card_of_those_kept_is_stopped_and_let_go_on_by_itself(scene: Scene) -> None:
    one, other = [await scene.phone.card(currency="KHR") for _ in range(2)]
    await scene.phone.post(f"/cards/{one}/freeze")
    await tap(scene, keep_cards=True)
    declined = await scene.buy(one, 1_000)
    assert (declined["reason"], declined["facts"]["frozen_by"]) == ("card_frozen", "HOLDER")
    assert (await scene.buy(other, 1_000))["approved"]
    await scene.phone.do("card.unfreeze", card_id=one)
    assert (await scene.buy(one, 1_000))["approved"]


async def test_a_card_asked_for_with_the_lost_one_is_claimed_by_nobody(scene: Scene) -> None:
    waiting = card_id_of(await scene.counter.at_atm(scene.counter.request(scene.person)))
    await tap(scene, keep_cards=True)
    with pytest.raises(Refused, match="smart_id_frozen"):
        await scene.counter.claim(scene.person, waiting)
    scene.phone.clock.advance(timedelta(minutes=10))
    assert await scene.counter.state(CardId(waiting)) == "EXPIRED"


async def test_a7_1_a_choice_racing_purchases_is_before_or_after_each(scene: Scene) -> None:
    card_id = await scene.phone.card(currency="KHR")
    buying = [asyncio.create_task(scene.buy(card_id, 1_000)) for _ in range(6)]
    await asyncio.sleep(0)
    assert (await tap(scene, keep_cards=True)).status_code == 200
    assert all(one["approved"] for one in await asyncio.gather(*buying))
    buying = [asyncio.create_task(scene.buy(card_id, 1_000)) for _ in range(6)]
    await asyncio.sleep(0)
    both = await asyncio.gather(tap(scene), tap(scene, keep_cards=True))
    assert both[0].status_code == 200
    assert both[1].status_code in (200, 409)
    late = [await scene.buy(card_id, 1_000) for _ in range(2)]
    assert [one["reason"] for one in late] == ["smart_id_frozen"] * 2
    heard = await asyncio.gather(*buying)
    assert {one["reason"] for one in heard} <= {None, "smart_id_frozen"}
    allowed = 6 + sum(one["approved"] for one in heard)
    assert await scene.riel() == (1_000_000, 1_000_000 - 1_000 * allowed)
