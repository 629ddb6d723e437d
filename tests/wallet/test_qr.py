"""Paying KHQR codes: each way it goes wrong, and that money moves once and to the right place."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests import world
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.qr_steps import (
    ACLEDA,
    PAYING,
    asked,
    balance,
    code_of,
    pay,
    payments,
    prepare,
    prepared,
    reasons,
    refused,
    settled,
    signed,
)
from wallet import khqr
from wallet.access.intents import Asked, Prepared
from wallet.clock import TurnedClock
from wallet.identifiers import (
    DeviceId,
    HolderId,
    luhn_digit,
    new_id,
)
from wallet.khqr.code import checksum
from wallet.ledger.chart import NewWallet, open_wallets
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.qr import PayFields, decode, pay_me
from wallet.qr.scanning import milliseconds
from wallet.registry import smart_ids
from wallet.registry.states import Party
from wallet.teller import Teller
from wallet.work import SYSTEM, Work, Works

# --- it goes well


async def test_a_scanned_code_is_shown_then_paid_and_the_settlement_account_credited(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    code = code_of(clock, bill="INV-7")
    shown = await prepared(works, holder, code)
    assert shown.money == Money.khr(15_000)
    for wanted in ("15,000 KHR", "Lucky Market", "as written in the code", "INV-7", "khqr@cadi"):
        assert wanted in shown.text_en
    for wanted in ("១៥,០០០ រៀល", "Lucky Market", "ឈ្មោះតាមដែលសរសេរក្នុងកូដ"):
        assert wanted in shown.text_km
    assert shown.facts["name_source"] == "code"

    receipt = await pay(works, teller, holder, code)

    assert isinstance(receipt, Done)
    assert receipt.answer["available_minor"] == 85_000
    assert receipt.answer["amount"] == "15000"
    assert len(receipt.answer["reference"]) == 12
    assert await balance(works, ACLEDA, holder.khr) == 85_000
    assert await settled(works) == 15_000
    (row,) = await payments(works)
    assert (row["payee_account"], row["payee_detail"], row["bill"]) == (
        "khqr@cadi",
        "0120000123",
        "INV-7",
    )
    assert row["transfer_id"] == row["id"]
    assert row["md5"] == khqr.md5(code)
    await assert_books_right(works)


async def test_the_payment_is_announced_and_leaves_an_audit_row(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=20_000)
    receipt = await pay(works, teller, holder, code_of(clock))
    assert isinstance(receipt, Done)

    async def query(work: Work) -> tuple[Any, Any]:
        event = await work.row("select * from events where kind = 'qr.paid'")
        note = await work.row("select * from audit where act = 'qr.pay'")
        return event, note

    event, note = await works.read(SYSTEM, None, query)
    assert event["holder_id"] == holder.id
    assert event["body"]["payee"] == "Lucky Market"
    assert event["body"]["reference"] == receipt.answer["reference"]
    assert (note["holder_id"], note["actor_kind"]) == (holder.id, "holder")


async def test_a_static_code_asks_the_amount_and_may_be_paid_again_and_again(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, usd=10_00)
    code = code_of(clock, amount=None, currency="840")
    assert (await refused(works, holder, code)).reason is Reason.QR_AMOUNT_MISSING
    assert (await refused(works, holder, code, "0")).reason is Reason.AMOUNT_INVALID
    for amount in ("1.50", "1.5"):
        assert isinstance(await pay(works, teller, holder, code, amount), Done)
    assert await balance(works, ACLEDA, holder.usd) == 7_00


async def test_a_group_of_many_payers_is_paid_with_one_insert(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    people = await world.people(works, 20, khr=15_000)
    group = [await signed(works, person, code_of(clock)) for person in people]
    assert reasons(await teller.ask_group(PAYING, ACLEDA, group)) == ["done"] * 20
    assert await settled(works) == 20 * 15_000
    await assert_books_right(works)


async def test_one_group_prepares_good_and_bad_codes_each_with_its_own_answer(
    works: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works)
    answers = await prepare(
        works,
        asked(holder, "nonsense"),
        asked(holder, code_of(clock, name="First")),
        asked(holder, code_of(clock, amount=None)),
        asked(holder, code_of(clock, name="Second")),
    )
    names = [a.facts["payee_name"] if isinstance(a, Prepared) else a.reason for a in answers]
    assert names == [Reason.QR_INVALID, "First", Reason.QR_AMOUNT_MISSING, "Second"]


# --- the named bad cases


async def test_bad_1_a_wrong_checksum_is_refused(works: Works, clock: TurnedClock) -> None:
    holder = await world.holder(works, khr=100_000)
    code = code_of(clock)
    damaged = code[:-4] + f"{int(code[-4:], 16) ^ 1:04X}"
    answer = await refused(works, holder, damaged)
    assert (answer.reason, answer.facts["fault"]) == (Reason.QR_INVALID, "checksum")


async def test_bad_2_an_expired_dynamic_code_is_refused_and_one_that_expires_meanwhile_declined(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    code = code_of(clock)
    intent = await signed(works, holder, code)
    clock.advance(timedelta(minutes=10))
    assert isinstance(await prepared(works, holder, code), Prepared)
    clock.advance(timedelta(milliseconds=1))
    assert (await refused(works, holder, code)).reason is Reason.QR_EXPIRED
    answer = await teller.ask(PAYING, ACLEDA, intent)
    assert answer == Declined(reason=Reason.QR_EXPIRED)
    assert await balance(works, ACLEDA, holder.khr) == 100_000


async def test_bad_3_an_amount_other_than_the_code_s_is_refused(
    works: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    code = code_of(clock)
    answer = await refused(works, holder, code, "1500")
    assert answer.reason is Reason.QR_AMOUNT_DIFFERS
    assert (answer.facts["amount_minor"], answer.facts["asked_minor"]) == (15_000, 1_500)
    assert (await prepared(works, holder, code, "15000")).money == Money.khr(15_000)
    tampered = code.replace("540515000", "540595000")
    assert (await refused(works, holder, tampered)).facts["fault"] == "checksum"


async def test_bad_4_a_dollar_code_without_a_dollar_wallet_is_refused_by_name(
    works: Works, clock: TurnedClock
) -> None:
    await world.establish(works)
    holder_id = HolderId(new_id())
    digits = f"{new_id().int % 10**9:09d}"
    riel_only = NewWallet(
        holder_id=holder_id, currency=Currency.KHR, number=digits + luhn_digit(digits)
    )
    await works.perform(SYSTEM, ACLEDA, lambda work: open_wallets(work, [riel_only]))
    wish = Asked(
        holder_id=holder_id,
        device_id=DeviceId(new_id()),
        bank=ACLEDA,
        language="en",
        fields=PayFields(code=code_of(clock, currency="840", amount="1.50")),
    )
    (answer,) = await prepare(works, wish)
    assert isinstance(answer, Refused)
    assert (answer.reason, answer.facts) == (Reason.WALLET_CURRENCY_MISSING, {"currency": "USD"})


async def test_bad_5_fractional_riel_is_refused_in_the_code_and_in_the_amount(
    works: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    body = code_of(clock)[:-8].replace("540515000", "54075000.50")
    answer = await refused(works, holder, f"{body}6304{checksum(body + '6304')}")
    assert (answer.reason, answer.facts["fault"]) == (Reason.AMOUNT_INVALID, "fractional_riel")
    static = code_of(clock, amount=None)
    assert (await refused(works, holder, static, "100.5")).reason is Reason.AMOUNT_INVALID


async def test_bad_6_a_retry_pays_once_and_a_second_intent_for_the_code_is_declined(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    code = code_of(clock)
    first, second = [await signed(works, holder, code) for _ in range(2)]
    once = await teller.ask(PAYING, ACLEDA, first)
    again = await teller.ask(PAYING, ACLEDA, first)
    assert isinstance(once, Done)
    assert isinstance(again, Done)
    assert again.answer["reference"] == once.answer["reference"]
    assert await teller.ask(PAYING, ACLEDA, second) == Declined(reason=Reason.QR_ALREADY_PAID)
    assert (await refused(works, holder, code)).reason is Reason.QR_ALREADY_PAID
    assert await balance(works, ACLEDA, holder.khr) == 85_000
    assert len(await payments(works)) == 1


async def test_bad_6_two_payers_of_one_code_in_one_group_pay_it_once(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    code = code_of(clock)
    poor = await world.holder(works, khr=1_000)
    rich, late = await world.people(works, 2, khr=50_000)
    group = [await signed(works, person, code) for person in (poor, rich, late)]
    answers = await teller.ask_group(PAYING, ACLEDA, group)
    assert reasons(answers) == ["insufficient_funds", "done", "qr_already_paid"]
    assert await settled(works) == 15_000


async def test_bad_6_holders_of_two_banks_cannot_both_pay_one_code(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    code = code_of(clock)
    here = await world.holder(works, khr=50_000)
    there = await world.holder(works, bank="CANADIA", khr=50_000)
    theirs = await signed(works, there, code)
    assert isinstance(await pay(works, teller, here, code), Done)
    answer = await teller.ask(PAYING, there.bank, theirs)
    assert answer == Declined(reason=Reason.QR_ALREADY_PAID)
    assert (await refused(works, there, code)).reason is Reason.QR_ALREADY_PAID
    assert await balance(works, there.bank, there.khr) == 50_000


async def test_bad_6_racing_processes_pay_one_code_once_and_nobody_pays_for_a_neighbour(
    works: Works, clock: TurnedClock
) -> None:
    code = code_of(clock)
    people = await world.people(works, 8, khr=50_000)
    neighbours = await world.people(works, 8, khr=50_000)
    tellers = [Teller(works) for _ in people]
    asks = []
    for teller, person, neighbour in zip(tellers, people, neighbours, strict=True):
        asks.append(teller.ask(PAYING, ACLEDA, await signed(works, person, code)))
        asks.append(teller.ask(PAYING, ACLEDA, await signed(works, neighbour, code_of(clock))))
    answers = reasons(await asyncio.gather(*asks))
    assert answers[1::2] == ["done"] * 8
    assert sorted(answers[::2]) == ["done"] + ["qr_already_paid"] * 7
    assert await settled(works) == 9 * 15_000
    await assert_books_right(works)


async def test_bad_7_one_s_own_code_is_refused(works: Works) -> None:
    holder = await world.holder(works, khr=100_000)

    async def own(work: Work) -> str:
        return await pay_me(work, holder.id, Currency.KHR, Money.khr(5_000))

    code = await works.read(SYSTEM, ACLEDA, own)
    assert (await refused(works, holder, code)).reason is Reason.QR_OWN_CODE


async def test_bad_8_a_khmer_name_with_zero_width_spaces_is_paid_shown_clean_and_kept_verbatim(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    name = "ហាង\u200bកាហ្វេ"
    code = code_of(clock, name=name)
    shown = await prepared(works, holder, code)
    assert shown.facts["payee_name"] == "ហាងកាហ្វេ"
    assert "\u200b" not in shown.text_en + shown.text_km
    assert isinstance(await pay(works, teller, holder, code), Done)
    assert (await payments(works))[0]["payee_name"] == name


async def test_bad_9_a_look_alike_name_at_another_account_is_warned_of_and_asks_for_a_code(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    assert isinstance(await pay(works, teller, holder, code_of(clock)), Done)
    for name, warning in [
        ("Luсky Market", "mixed_alphabets"),  # a Cyrillic es
        ("Luc\u200bky Market", "look_alike"),
        ("LUCKY MARKET", "look_alike"),
        ("Lucky Market", "same_name_elsewhere"),
        ("Sunny Bakery", None),
    ]:
        other = await prepared(works, holder, code_of(clock, name=name, detail="0999999999"))
        assert other.facts.get("warning") == warning
        assert other.ask_code is (warning in ("look_alike", "mixed_alphabets"))
        assert ("Careful" in other.text_en or "Note" in other.text_en) is bool(warning)
        assert ("ប្រយ័ត្ន" in other.text_km or "ចំណាំ" in other.text_km) is bool(warning)
    known = await prepared(works, holder, code_of(clock))
    assert known.facts["paid_before"] == 1
    assert "warning" not in known.facts


async def test_bad_9_a_name_cannot_reorder_the_text_around_it(
    works: Works, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    shown = await prepared(works, holder, code_of(clock, name="Shop\u202e000,51"))
    assert "\u202e" not in shown.text_en + shown.text_km


async def test_bad_10_over_a_limit_the_answer_says_which_and_what_is_left(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=60_000_000)
    most, day = 10_000_000, 40_000_000
    too_much = await refused(works, holder, code_of(clock, amount=str(most + 1)))
    assert too_much.reason is Reason.LIMIT_EXCEEDED
    assert too_much.facts["limit"] == "payment"
    for _ in range(day // most):
        assert isinstance(await pay(works, teller, holder, code_of(clock, amount=str(most))), Done)
    over = await refused(works, holder, code_of(clock, amount="1"))
    assert (over.facts["limit"], over.facts["left_minor"]) == ("day", 0)
    clock.advance(timedelta(hours=15))  # midnight in Phnom Penh
    assert isinstance(await pay(works, teller, holder, code_of(clock)), Done)


async def test_bad_10_payments_of_one_group_count_against_the_day_together(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=60_000_000)
    codes = [code_of(clock, amount="9000000") for _ in range(5)]
    group = [await signed(works, holder, code) for code in codes]
    answers = await teller.ask_group(PAYING, ACLEDA, group)
    assert reasons(answers) == ["done"] * 4 + ["limit_exceeded"]
    last = answers[-1]
    assert isinstance(last, Declined)
    assert last.facts["left_minor"] == 4_000_000


# --- and others


async def test_too_little_money_declines_and_says_what_is_available(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=14_999)
    answer = await pay(works, teller, holder, code_of(clock))
    assert isinstance(answer, Declined)
    assert answer.reason is Reason.INSUFFICIENT_FUNDS
    assert answer.facts["available_minor"] == 14_999
    assert await payments(works) == []


async def test_a_frozen_smart_id_does_not_pay_even_when_frozen_after_the_showing(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    holder = await world.holder(works, khr=100_000)
    intent = await signed(works, holder, code_of(clock))
    await works.perform(
        SYSTEM,
        ACLEDA,
        lambda work: smart_ids.freeze_payment(work, [holder.smart_id_id], by=Party.HOLDER),
    )
    assert await teller.ask(PAYING, ACLEDA, intent) == Declined(reason=Reason.SMART_ID_FROZEN)
    assert (await refused(works, holder, code_of(clock))).reason is Reason.SMART_ID_FROZEN


async def test_a_foreign_code_is_called_foreign(works: Works) -> None:
    holder = await world.holder(works)
    body = "00020101021129370016A000000677010111011300669000000005303764" + "5802TH" + "6304"
    assert (await refused(works, holder, body + checksum(body))).reason is Reason.QR_FOREIGN


async def test_a_code_of_another_holder_of_the_bank_pays_that_wallet_by_its_registered_name(
    works: Works, teller: Teller, clock: TurnedClock
) -> None:
    payer = await world.holder(works, khr=100_000)
    payee = await world.holder(works)

    async def show(work: Work) -> str:
        return await pay_me(work, payee.id, Currency.KHR)

    code = await works.read(SYSTEM, ACLEDA, show)
    shown = await prepared(works, payer, code, "7000")
    assert payee.name_latin in shown.text_en
    assert payee.name_khmer in shown.text_km
    assert shown.facts["name_source"] == "account"
    assert "as written" not in shown.text_en
    assert isinstance(await pay(works, teller, payer, code, "7000"), Done)
    assert await balance(works, ACLEDA, payee.khr) == 7_000
    assert await settled(works) == 0
    await assert_books_right(works)


async def test_a_code_of_another_bank_s_holder_goes_by_the_rail(
    works: Works, teller: Teller
) -> None:
    payer = await world.holder(works, khr=100_000)
    payee = await world.holder(works, bank="WING")

    async def show(work: Work) -> str:
        return await pay_me(work, payee.id, Currency.KHR, Money.khr(7_000))

    code = await works.read(SYSTEM, payee.bank, show)
    read = khqr.read(code, milliseconds(works.clock.now()))
    assert isinstance(read, khqr.Khqr)
    assert (read.account, read.detail) == ("wingkhppxxx@wing", payee.khr_number)
    assert read.bill is not None
    assert isinstance(await pay(works, teller, payer, code), Done)
    assert await settled(works) == 7_000


def test_decoding_shows_the_code_before_anything_is_prepared(clock: TurnedClock) -> None:
    shown = decode(code_of(clock, name="Sho\u202ep", store="Branch 1"), clock.now())
    assert (shown.payee_name, shown.name_source, shown.dynamic) == ("Shop", "code", True)
    assert (shown.amount, shown.currency) == (Money.khr(15_000), Currency.KHR)
    assert shown.payee_account == "khqr@cadi/0120000123"
    assert shown.expires_at == clock.now() + timedelta(minutes=10)
    static = decode(code_of(clock, amount=None), clock.now())
    assert (static.dynamic, static.amount, static.expires_at) == (False, None, None)
    with pytest.raises(Refused) as refusal:
        decode("nonsense", clock.now())
    assert refusal.value.reason is Reason.QR_INVALID
