"""User story A7, a lost card: frozen in two taps, salary lands, another one takes over. And all
that may go wrong with it."""

import asyncio
from datetime import date

import pytest

from tests.scenarios.conftest import Scene
from wallet.cards.following import follow
from wallet.identifiers import SmartIdId, new_id
from wallet.outcomes import Declined, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.smart_ids import IdentityState, Party, PaymentState, SmartId
from wallet.work import SYSTEM, Work


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
