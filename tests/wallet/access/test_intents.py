"""What an intent promises: its own words, its own bytes, one effect, one answer."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from simulators.phone_keys import DeviceKey, unbase64url
from tests import world
from tests.phones import Gift, Pocket, gift, given, warm
from wallet.access.intents import OtpPolicy, authorise_lane, prepare_lane
from wallet.access.reading import seen
from wallet.clock import TurnedClock
from wallet.identifiers import IntentId
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

GIFT = gift()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault) -> Pocket:
    holder = await world.holder(works, vault=vault)
    return await Pocket(works, teller, vault, holder).pair()


async def another(pocket: Pocket, bank: str = "ACLEDA") -> Pocket:
    holder = await world.holder(pocket.works, bank=bank, vault=pocket.vault)
    return await Pocket(pocket.works, pocket.teller, pocket.vault, holder).pair()


async def test_a_signed_intent_takes_effect_and_its_secret_is_shown_once(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    assert shown["text"]["en"] == "Give 5000 to LUCKY."
    assert shown["needs"] == {"signature": True, "otp": "none", "otp_methods": []}

    first = await pocket.authorise(GIFT, shown)
    again = await pocket.authorise(GIFT, shown)

    assert first == Done(answer={"given": shown["id"]}, secret={"wrapping": "SHOWN-ONCE"})
    assert again == Done(answer={"given": shown["id"]}, secret=None)
    assert await given(pocket.works) == [shown["id"]]
    assert "SHOWN-ONCE" not in await dumped(pocket.works)


async def test_authorised_many_times_at_once_it_has_one_effect_and_one_answer(
    pocket: Pocket, works: Works
) -> None:
    await warm(works)
    shown = await pocket.prepare(GIFT, Gift(fate="slow"))
    # other tellers stand for other processes: their groups meet on the row, not in memory
    tellers = [pocket.teller, Teller(works), Teller(works)]
    lane = authorise_lane(GIFT, pocket.vault)
    answers = await asyncio.gather(
        *(tellers[i % 3].ask(lane, pocket.bank, pocket.tried(shown)) for i in range(30))
    )
    assert {str(answer.answer) for answer in answers if isinstance(answer, Done)} == {
        str({"given": shown["id"]})
    }
    assert sum(isinstance(a, Done) and a.secret is not None for a in answers) == 1
    assert await given(works) == [shown["id"]]


async def test_in_a_group_each_gets_their_own_answer(pocket: Pocket) -> None:
    other = await another(pocket)
    fine = await pocket.prepare(GIFT)
    poor = await other.prepare(GIFT, Gift(fate="declined"))
    vain = await pocket.prepare(GIFT, Gift(fate="refused"))
    lane = authorise_lane(GIFT, pocket.vault)
    requests = [
        pocket.tried(fine),
        pocket.tried(fine, signature=bytes(64)),
        other.tried(poor),
        pocket.tried(vain),
        pocket.tried(fine),
        other.tried(fine, signature=other.signature(poor)),
    ]
    answers = await pocket.teller.ask_group(lane, pocket.bank, requests)
    done = {"given": fine["id"]}
    assert answers[0] == Done(answer=done, secret={"wrapping": "SHOWN-ONCE"})
    assert answers[4] == Done(answer=done)
    assert answers[2] == Declined(reason=Reason.INSUFFICIENT_FUNDS)
    assert isinstance(answers[3], Refused)
    assert answers[3].reason is Reason.CONFLICT
    assert isinstance(answers[5], Refused)
    assert answers[5].reason is Reason.NOT_FOUND
    # a refused effect leaves its intent open, a declined one is over
    assert (await state_of(pocket, vain))["state"] == "PENDING"
    assert await state_of(other, poor) == {"state": "DECLINED", "tries": 0}
    assert await other.authorise(GIFT, poor) == Declined(reason=Reason.INSUFFICIENT_FUNDS)


async def test_nobody_pays_for_a_neighbour_whose_effect_falls_over(pocket: Pocket) -> None:
    fine, broken = await pocket.prepare(GIFT), await pocket.prepare(GIFT, Gift(fate="explodes"))
    lane = authorise_lane(GIFT, pocket.vault)
    requests = [pocket.tried(fine), pocket.tried(broken)]
    answers = await pocket.teller.ask_group(lane, pocket.bank, requests)
    assert isinstance(answers[0], Done)
    assert isinstance(answers[1], Refused)
    assert await given(pocket.works) == [fine["id"]]


async def test_a_kind_that_refuses_to_prepare_leaves_nothing(pocket: Pocket) -> None:
    with pytest.raises(Refused) as refused:
        await pocket.prepare(GIFT, Gift(amount=0))
    assert refused.value.reason is Reason.AMOUNT_INVALID


async def test_who_waited_for_the_row_until_it_was_over_comes_too_late(
    pocket: Pocket, works: Works, clock: TurnedClock
) -> None:
    """D11. Begun in time, held up by somebody who was then told "expired": both hear the same."""
    await warm(works)
    shown = await pocket.prepare(GIFT)
    held, over = asyncio.Event(), asyncio.Event()

    async def hold(work: Work) -> None:
        await work.rows("select id from intents where id = $1 for update", UUID(shown["id"]))
        held.set()
        await over.wait()

    holding = asyncio.create_task(works.perform(SYSTEM, pocket.bank, hold))
    await held.wait()
    waiting = asyncio.create_task(pocket.authorise(GIFT, shown))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    clock.advance(timedelta(seconds=120))
    over.set()
    await holding
    with pytest.raises(Refused) as late:
        await waiting
    assert late.value.reason is Reason.INTENT_EXPIRED
    assert await given(works) == []


async def test_an_intent_lives_120_seconds(pocket: Pocket, clock: TurnedClock) -> None:
    early, late, later = [await pocket.prepare(GIFT) for _ in range(3)]
    clock.advance(timedelta(seconds=119))
    assert isinstance(await pocket.authorise(GIFT, early), Done)
    for shown, wait_s in ((late, 1), (later, 1)):
        clock.advance(timedelta(seconds=wait_s))
        with pytest.raises(Refused) as refused:
            await pocket.authorise(GIFT, shown)
        assert refused.value.reason is Reason.INTENT_EXPIRED
        assert (await as_seen(pocket, shown))["state"] == "EXPIRED"
    # what was done in time is still answered
    assert isinstance(await pocket.authorise(GIFT, early), Done)


CHANGES = (
    "amount_minor = amount_minor + 1",
    "amount_minor = -amount_minor",
    "currency = 'USD'",
    "payee = payee || ' '",
    "payee = 'LUCKX'",
    "text_en = text_en || '.'",
    "text_km = replace(text_km, '។', '.')",
    "text_en = 'Give', text_km = ' 5000 to LUCKY.'",
    "nonce = set_bit(nonce, 0, 1 - get_bit(nonce, 0))",
    "expires_at = expires_at + interval '1 second'",
)


async def test_one_riel_or_one_letter_changed_and_the_signature_is_wrong(pocket: Pocket) -> None:
    for change in CHANGES:
        shown = await pocket.prepare(GIFT)
        await tamper(pocket.works, f"update intents set {change} where id = $1", shown)
        outcome = await pocket.authorise(GIFT, shown)
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID), change
    assert await given(pocket.works) == []


async def test_no_bit_of_the_signature_may_be_other(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    signature = pocket.signature(shown)
    lane = authorise_lane(GIFT, pocket.vault)
    for bit in (0, 7, 255, 256, 511):
        await tamper(pocket.works, "update intents set tries = 0 where id = $1", shown)
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << (bit % 8)
        tried = pocket.tried(shown, signature=bytes(changed))
        outcome = await pocket.teller.ask(lane, pocket.bank, tried)
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID)


async def test_only_the_raw_form_of_a_signature_is_taken(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    raw = pocket.signature(shown)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    forgeries = [
        b"",
        encode_dss_signature(r, s),
        raw + b"\0",
        raw[:63],
        bytes(64),
        ORDER.to_bytes(32, "big") + raw[32:],
        raw[:32] + ORDER.to_bytes(32, "big"),
        raw[32:] + raw[:32],
        b"\xff" * 64,
    ]
    for forged in forgeries:
        await tamper(pocket.works, "update intents set tries = 0 where id = $1", shown)
        outcome = await pocket.authorise(GIFT, shown, signature=forged)
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID)
    await tamper(pocket.works, "update intents set tries = 0 where id = $1", shown)
    assert isinstance(await pocket.authorise(GIFT, shown), Done)


async def test_five_wrong_signatures_end_the_intent(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    for _ in range(5):
        await pocket.authorise(GIFT, shown, signature=bytes(64))
    assert await state_of(pocket, shown) == {"state": "DECLINED", "tries": 5}
    assert await pocket.authorise(GIFT, shown) == Declined(reason=Reason.SIGNATURE_INVALID)
    assert await given(pocket.works) == []


async def test_the_fifth_wrong_try_and_a_right_one_in_one_group(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    lane = authorise_lane(GIFT, pocket.vault)
    wrong_ones = [pocket.tried(shown, signature=bytes(64)) for _ in range(5)]
    answers = await pocket.teller.ask_group(lane, pocket.bank, [*wrong_ones, pocket.tried(shown)])
    assert all(answer == Declined(reason=Reason.SIGNATURE_INVALID) for answer in answers)
    assert await given(pocket.works) == []


async def test_a_signature_is_good_for_its_own_intent_only(pocket: Pocket) -> None:
    one, two = await pocket.prepare(GIFT), await pocket.prepare(GIFT)
    outcome = await pocket.authorise(GIFT, two, signature=pocket.signature(one))
    assert outcome == Declined(reason=Reason.SIGNATURE_INVALID)


async def test_somebody_elses_intent_is_as_good_as_none(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    stranger = await another(pocket)
    with pytest.raises(Refused) as refused:
        await stranger.authorise(GIFT, shown, signature=pocket.signature(shown))
    assert refused.value.reason is Reason.NOT_FOUND
    foreigner = await another(pocket, bank="WING")
    with pytest.raises(Refused):
        await foreigner.authorise(GIFT, shown, signature=pocket.signature(shown))
    with pytest.raises(Refused):
        await stranger.works.read(
            SYSTEM,
            stranger.bank,
            lambda work: seen(work, intent_of(shown), stranger.holder.id),
        )


async def test_another_device_of_the_same_holder_cannot_authorise(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    signature = pocket.signature(shown)
    replacing = await Pocket(pocket.works, pocket.teller, pocket.vault, pocket.holder).pair()
    with pytest.raises(Refused) as refused:
        await replacing.authorise(GIFT, shown, signature=signature)
    assert refused.value.reason is Reason.NOT_FOUND
    with pytest.raises(Refused) as refused:
        await pocket.authorise(GIFT, shown, signature=signature)
    assert refused.value.reason is Reason.DEVICE_NOT_ACTIVE


async def test_another_kinds_lane_does_not_take_it(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    other = gift()
    renamed = type(other)(
        name="test.other",
        fields=other.fields,
        prepare=other.prepare,
        authorise=other.authorise,
    )
    with pytest.raises(Refused) as refused:
        await pocket.authorise(renamed, shown)
    assert refused.value.reason is Reason.NOT_FOUND


async def test_a_stolen_session_without_the_key_takes_nothing(pocket: Pocket) -> None:
    shown = await pocket.prepare(GIFT)
    thief = DeviceKey.fresh()
    forged = unbase64url(thief.sign(unbase64url(shown["canonical"])))
    outcome = await pocket.authorise(GIFT, shown, signature=forged)
    assert outcome == Declined(reason=Reason.SIGNATURE_INVALID)


async def test_texts_are_signed_in_one_spelling(pocket: Pocket) -> None:
    composed, apart = "Café", "Cafe\u0301"
    assert (await pocket.prepare(GIFT, Gift(payee=apart)))["text"]["en"].endswith(f"{composed}.")


async def test_the_policy_says_when_a_code_is_needed(pocket: Pocket) -> None:
    above = gift(OtpPolicy.above(Money.khr(5_000)))
    assert (await pocket.prepare(above, Gift(amount=5_000)))["needs"]["otp"] == "none"
    assert (await pocket.prepare(above, Gift(amount=5_001)))["needs"]["otp"] == "required"
    dollars = Gift(amount=9_000_000, currency=Currency.USD)
    assert (await pocket.prepare(above, dollars))["needs"]["otp"] == "none"
    cooling = await pocket.prepare(GIFT, cooling=True)
    assert cooling["needs"] == {"signature": True, "otp": "required", "otp_methods": ["sms"]}


async def test_a_code_that_is_needed_and_missing_is_asked_for(pocket: Pocket) -> None:
    always = gift(OtpPolicy.ALWAYS)
    shown = await pocket.prepare(always)
    with pytest.raises(Refused) as refused:
        await pocket.authorise(always, shown)
    assert refused.value.reason is Reason.OTP_REQUIRED
    assert await state_of(pocket, shown) == {"state": "PENDING", "tries": 0}


async def test_a_replacing_phone_moves_little_money_for_twelve_hours(
    pocket: Pocket, clock: TurnedClock
) -> None:
    phone = await Pocket(pocket.works, pocket.teller, pocket.vault, pocket.holder).pair()
    secret = await phone.enrol_totp()

    async def give(amount: int) -> Outcome:
        clock.advance(timedelta(seconds=31))
        shown = await phone.prepare(GIFT, Gift(amount=amount), cooling=True)
        return await phone.authorise(GIFT, shown, code=phone.totp(secret))

    assert isinstance(await give(300_000), Done)
    assert await give(100_001) == Declined(
        reason=Reason.LIMIT_EXCEEDED, facts={"limit": "cooling_off"}
    )
    assert isinstance(await give(100_000), Done)
    assert isinstance(await give(1), Declined)
    clock.advance(timedelta(hours=12))
    shown = await phone.prepare(GIFT, Gift(amount=5_000_000))
    assert isinstance(await phone.authorise(GIFT, shown), Done)


async def test_a_hundred_intents_of_many_are_one_insert_and_each_their_own(
    pocket: Pocket,
) -> None:
    lane = prepare_lane(GIFT)
    shown = await asyncio.gather(*(pocket.prepare(GIFT, Gift(amount=i + 1)) for i in range(100)))
    assert lane.name == "intent.prepare:test.gift"
    assert len({one["id"] for one in shown}) == 100
    assert [one["money"]["amount_minor"] for one in shown] == list(range(1, 101))
    outcomes = await asyncio.gather(*(pocket.authorise(GIFT, one) for one in shown))
    assert [o.answer["given"] for o in outcomes if isinstance(o, Done)] == [o["id"] for o in shown]


def intent_of(shown: dict[str, Any]) -> IntentId:
    return IntentId(UUID(shown["id"]))


async def state_of(pocket: Pocket, shown: dict[str, Any]) -> dict[str, Any]:
    async def read(work: Work) -> dict[str, Any]:
        row = await work.row("select state, tries from intents where id = $1", intent_of(shown))
        assert row is not None
        return dict(row)

    return await pocket.works.read(SYSTEM, pocket.bank, read)


async def as_seen(pocket: Pocket, shown: dict[str, Any]) -> dict[str, Any]:
    return await pocket.works.read(
        SYSTEM, pocket.bank, lambda work: seen(work, intent_of(shown), pocket.holder.id)
    )


async def tamper(works: Works, sql: str, shown: dict[str, Any]) -> None:
    await works.perform(SYSTEM, None, lambda work: work.execute(sql, intent_of(shown)))


async def dumped(works: Works) -> str:
    async def read(work: Work) -> str:
        rows = await work.rows("select row_to_json(i)::text as line from intents i")
        return "\n".join(row["line"] for row in rows)

    return await works.read(SYSTEM, None, read)
