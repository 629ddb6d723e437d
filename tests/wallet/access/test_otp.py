"""One-time passwords: right once, for one act, five wrong at most, whatever Redis remembers."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from redis.asyncio import Redis

from simulators.phone_keys import ShownOtherwiseError, base64url, canonical_of, unbase64url
from tests import world
from tests.phones import Gift, Pocket, gift, given, warm, wrong
from wallet.access import authenticator, otp
from wallet.access.challenges import Gate, code_over
from wallet.access.intents import OtpPolicy, authorise_lane
from wallet.access.totp import code_at, matching_step
from wallet.clock import TurnedClock
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

CODED = gift(OtpPolicy.ALWAYS)
PLAIN = gift()


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Pocket:
    holder = await world.holder(works, vault=vault, phone="+85512345678")
    return await Pocket(works, teller, vault, holder, throttle=throttle).pair()


# the arithmetic


def test_rfc_4226_appendix_d() -> None:
    expected = (
        "755224", "287082", "359152", "969429", "338314",
        "254676", "287922", "162583", "399871", "520489",
    )  # fmt: skip
    hotp = pyotp.HOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert tuple(hotp.at(count) for count in range(10)) == expected


def test_rfc_6238_appendix_b() -> None:
    seeds = {
        "sha1": b"12345678901234567890",
        "sha256": b"12345678901234567890123456789012",
    }
    vectors = [
        (59, "sha1", "94287082"),
        (59, "sha256", "46119246"),
        (1111111109, "sha1", "07081804"),
        (1111111109, "sha256", "68084774"),
        (20000000000, "sha1", "65353130"),
        (20000000000, "sha256", "77737706"),
    ]
    for moment, name, expected in vectors:
        secret = base64.b32encode(seeds[name]).decode()
        totp = pyotp.TOTP(secret, digits=8, digest=getattr(hashlib, name))
        assert totp.at(moment) == expected


def test_a_code_belongs_to_its_bytes_and_its_key() -> None:
    key, other = bytes(range(32)), bytes(32)
    one = hashlib.sha256(b"pay 500000").digest()
    two = hashlib.sha256(b"pay 500001").digest()
    assert len(code_over(key, one)) == 8
    assert len({code_over(key, one), code_over(key, two), code_over(other, one)}) == 3


def test_only_ascii_digits_are_codes() -> None:
    for text in ("１２３４５６", "១២៣៤៥៦", "٠١٢٣٤٥", " 12345", "12345 ", "+12345", "1234567",
                 "12345", "", "123456\n", "1e3456", "1" * 1_000_000):  # fmt: skip
        assert not otp.well_formed(text)
        assert matching_step("A" * 32, text, datetime(2026, 1, 12, tzinfo=UTC)) is None
    assert otp.well_formed("123456")
    assert otp.well_formed("12345678")


# the authenticator


async def test_an_authenticator_is_enrolled_shown_once_and_confirmed(
    pocket: Pocket, clock: TurnedClock
) -> None:
    secret = await enrolled(pocket)
    with pytest.raises(Refused) as refused:
        await pocket.authorise(CODED, await pocket.prepare(CODED), code=pocket.totp(secret))
    assert refused.value.reason is Reason.OTP_NOT_ENROLLED

    confirm = authenticator.confirm_kind(pocket.vault)
    shown = await pocket.prepare(confirm, authenticator.Nothing())
    assert shown["needs"]["otp_methods"] == ["totp"]
    bad = await pocket.authorise(confirm, shown, code=wrong(pocket.totp(secret)))
    assert bad == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": 4})
    done = await pocket.authorise(confirm, shown, code=pocket.totp(secret))
    assert isinstance(done, Done)

    # the confirming code is used up like any other
    again = await pocket.prepare(CODED)
    assert again["needs"]["otp_methods"] == ["totp", "sms"]
    used = await pocket.authorise(CODED, again, code=pocket.totp(secret))
    assert isinstance(used, Declined)
    clock.advance(timedelta(seconds=30))
    assert isinstance(await pocket.authorise(CODED, again, code=pocket.totp(secret)), Done)


async def test_replacing_an_authenticator_asks_for_a_code_and_keeps_the_old_until_confirmed(
    pocket: Pocket, clock: TurnedClock
) -> None:
    old = await pocket.enrol_totp()
    enrol = authenticator.enrol_kind(pocket.vault)
    shown = await pocket.prepare(enrol, authenticator.Nothing())
    assert shown["needs"]["otp"] == "required"
    done = await pocket.authorise(enrol, shown, code=pocket.totp(old))
    assert isinstance(done, Done)
    assert done.secret is not None
    assert done.secret["qr_png"].startswith("data:image/png;base64,")
    assert "<svg" in done.secret["qr_svg"]
    clock.advance(timedelta(seconds=30))
    still = await pocket.authorise(CODED, await pocket.prepare(CODED), code=pocket.totp(old))
    assert isinstance(still, Done)


async def test_one_step_either_side_and_never_an_older_one(
    pocket: Pocket, clock: TurnedClock
) -> None:
    secret = await pocket.enrol_totp()
    now = clock.now()

    async def tried(offset_s: int) -> Outcome:
        code = code_at(secret, now + timedelta(seconds=offset_s))
        return await pocket.authorise(CODED, await pocket.prepare(CODED), code=code)

    assert isinstance(await tried(-61), Declined)
    assert isinstance(await tried(61), Declined)
    assert isinstance(await tried(-30), Done)
    assert isinstance(await tried(-30), Declined)
    assert isinstance(await tried(30), Done)
    assert isinstance(await tried(0), Declined), "older than the last one used"


async def test_two_intents_race_with_one_code_and_one_wins(pocket: Pocket) -> None:
    await warm(pocket.works)
    secret = await pocket.enrol_totp()
    shown = [await pocket.prepare(CODED, Gift(fate="slow")) for _ in range(4)]
    code = pocket.totp(secret)
    tellers = [Teller(pocket.works) for _ in shown]
    lane = authorise_lane(CODED, pocket.vault)
    answers = await asyncio.gather(
        *(
            desk.ask(lane, pocket.bank, pocket.tried(one, code=code))
            for desk, one in zip(tellers, shown, strict=True)
        )
    )
    assert sum(isinstance(answer, Done) for answer in answers) == 1
    assert len(await given(pocket.works)) == 1


async def test_the_same_right_code_many_times_for_one_intent_counts_no_failure(
    pocket: Pocket,
) -> None:
    secret = await pocket.enrol_totp()
    shown = await pocket.prepare(CODED)
    code = pocket.totp(secret)
    answers = await asyncio.gather(*(pocket.authorise(CODED, shown, code=code) for _ in range(20)))
    assert all(isinstance(answer, Done) for answer in answers)
    assert await given(pocket.works) == [shown["id"]]
    assert (await standing(pocket))["consecutive_failures"] == 0


async def test_a_refused_effect_uses_up_no_code(pocket: Pocket) -> None:
    secret = await pocket.enrol_totp()
    vain = await pocket.prepare(CODED, Gift(fate="refused"))
    with pytest.raises(Refused):
        await pocket.authorise(CODED, vain, code=pocket.totp(secret))
    fine = await pocket.prepare(CODED)
    assert isinstance(await pocket.authorise(CODED, fine, code=pocket.totp(secret)), Done)


# codes sent for one intent


async def test_a_sent_code_takes_effect_once(pocket: Pocket) -> None:
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    assert len(code) == 8
    answers = await asyncio.gather(
        *(settled(pocket.with_code(CODED, shown, code)) for _ in range(20))
    )
    # a racer whose gate saw the code used before the effect was there is told to ask again
    assert {str(a.reason) if isinstance(a, Refused) else type(a).__name__ for a in answers} <= {
        "Done",
        "in_flight",
    }
    assert any(isinstance(answer, Done) for answer in answers)
    assert await given(pocket.works) == [shown["id"]]
    assert isinstance(await pocket.with_code(CODED, shown, code), Done)


async def test_a_code_is_good_for_its_own_intent_only(pocket: Pocket) -> None:
    one, two = await pocket.prepare(CODED), await pocket.prepare(CODED)
    code = await pocket.ask_code(one)
    await pocket.ask_code(two)
    outcome = await pocket.with_code(CODED, two, code)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.OTP_WRONG
    assert isinstance(await pocket.with_code(CODED, one, code), Done)


async def test_an_amount_changed_after_the_code_was_made_kills_it(pocket: Pocket) -> None:
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    await pocket.works.perform(
        SYSTEM,
        None,
        lambda work: work.execute("update intents set amount_minor = amount_minor + 1"),
    )
    shown["money"]["amount_minor"] += 1
    changed = {**shown, "canonical": resigned(shown, pocket)}
    outcome = await pocket.with_code(CODED, changed, code)
    assert outcome == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": 4})
    assert await given(pocket.works) == []


async def test_a_new_code_replaces_the_old_and_gives_back_no_tries(pocket: Pocket) -> None:
    shown = await pocket.prepare(CODED)
    first = await pocket.ask_code(shown)
    for left in (4, 3):
        outcome = await pocket.with_code(CODED, shown, wrong(first))
        assert outcome == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})
    second = await pocket.ask_code(shown)
    assert isinstance(await pocket.with_code(CODED, shown, first), Declined)
    for left in (1, 0):
        outcome = await pocket.with_code(CODED, shown, wrong(second))
        assert outcome == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})
    other = await pocket.prepare(CODED)
    third = await pocket.ask_code(other)
    locked = await pocket.with_code(CODED, other, third)
    assert isinstance(locked, Declined)
    assert locked.reason is Reason.OTP_LOCKED
    assert await given(pocket.works) == []


async def test_three_codes_in_ten_minutes(pocket: Pocket, clock: TurnedClock) -> None:
    await warm(pocket.works)
    shown = await pocket.prepare(CODED)
    await pocket.ask_code(shown)
    racing = await asyncio.gather(*(settled(pocket.ask_code(shown)) for _ in range(6)))
    assert sum(isinstance(r, Refused) and r.reason is Reason.RATE_LIMITED for r in racing) == 4
    results = await asyncio.gather(*(settled(pocket.ask_code(shown)) for _ in range(4)))
    assert all(isinstance(r, Refused) and r.reason is Reason.RATE_LIMITED for r in results)
    clock.advance(timedelta(minutes=10, seconds=1))
    assert len(await pocket.ask_code(await pocket.prepare(CODED))) == 8


async def test_a_code_lives_no_longer_than_its_intent(pocket: Pocket, clock: TurnedClock) -> None:
    shown = await pocket.prepare(CODED)
    clock.advance(timedelta(seconds=60))
    code = await pocket.ask_code(shown)
    clock.advance(timedelta(seconds=59))
    early = await pocket.with_code(CODED, shown, code)
    assert isinstance(early, Done)
    late = await pocket.prepare(CODED)
    code = await pocket.ask_code(late)
    clock.advance(timedelta(seconds=121))
    with pytest.raises(Refused) as refused:
        await pocket.with_code(CODED, late, code)
    assert refused.value.reason is Reason.INTENT_EXPIRED


async def test_no_code_for_an_intent_that_needs_none_or_is_anothers(
    pocket: Pocket, works: Works, teller: Teller, vault: Vault, throttle: Throttle
) -> None:
    with pytest.raises(Refused) as refused:
        await pocket.ask_code(await pocket.prepare(PLAIN))
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION
    holder = await world.holder(works, vault=vault)
    stranger = await Pocket(works, teller, vault, holder, throttle=throttle).pair()
    with pytest.raises(Refused) as refused:
        await stranger.ask_code(await pocket.prepare(CODED))
    assert refused.value.reason is Reason.NOT_FOUND


# counting and locking


async def test_five_wrong_codes_lock_for_half_an_hour_over_any_intents(
    pocket: Pocket, clock: TurnedClock, redis: "Redis"
) -> None:
    secret = await pocket.enrol_totp()
    for left in (4, 3, 2, 1, 0):
        shown = await pocket.prepare(CODED)
        outcome = await pocket.authorise(CODED, shown, code=wrong(pocket.totp(secret)))
        assert outcome == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left})
    # what Redis forgets changes nothing
    await redis.flushall()
    shown = await pocket.prepare(CODED)
    locked = await pocket.authorise(CODED, shown, code=pocket.totp(secret))
    assert locked == Declined(reason=Reason.OTP_LOCKED, facts={"retry_after_s": 1801})
    # acts on signature alone go on
    assert isinstance(await pocket.authorise(PLAIN, await pocket.prepare(PLAIN)), Done)

    clock.advance(timedelta(minutes=30, seconds=1))
    shown = await pocket.prepare(CODED)
    assert isinstance(await pocket.authorise(CODED, shown, code=pocket.totp(secret)), Done)
    assert (await standing(pocket))["consecutive_failures"] == 0


async def test_of_guesses_sent_at_once_five_are_compared(pocket: Pocket) -> None:
    await warm(pocket.works)
    secret = await pocket.enrol_totp()
    right = pocket.totp(secret)
    guesses = [f"{(int(right) + i) % 1_000_000:06d}" for i in range(1, 25)]
    intents = [await pocket.prepare(CODED) for _ in guesses]
    tellers = [Teller(pocket.works) for _ in range(4)]
    lane = authorise_lane(CODED, pocket.vault)
    answers = await asyncio.gather(
        *(
            tellers[i % 4].ask(lane, pocket.bank, pocket.tried(one, code=guess))
            for i, (one, guess) in enumerate(zip(intents, guesses, strict=True))
        )
    )
    reasons = [answer.reason for answer in answers if isinstance(answer, Declined)]
    assert reasons.count(Reason.OTP_WRONG) == 5
    assert reasons.count(Reason.OTP_LOCKED) == len(guesses) - 5
    final = await pocket.prepare(CODED)
    assert isinstance(await pocket.authorise(CODED, final, code=right), Declined)


async def test_a_right_code_starts_the_count_anew(pocket: Pocket, clock: TurnedClock) -> None:
    secret = await pocket.enrol_totp()
    for _ in range(3):
        for _ in range(4):
            shown = await pocket.prepare(CODED)
            await pocket.authorise(CODED, shown, code=wrong(pocket.totp(secret)))
        clock.advance(timedelta(seconds=31))
        shown = await pocket.prepare(CODED)
        assert isinstance(await pocket.authorise(CODED, shown, code=pocket.totp(secret)), Done)


async def test_a_wrong_signature_with_a_right_code_tells_nothing_about_the_code(
    pocket: Pocket,
) -> None:
    secret = await pocket.enrol_totp()
    shown = await pocket.prepare(CODED)
    for code in (pocket.totp(secret), wrong(pocket.totp(secret))):
        outcome = await pocket.authorise(CODED, shown, code=code, signature=bytes(64))
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID)
    assert isinstance(await pocket.authorise(CODED, shown, code=pocket.totp(secret)), Done)


async def test_digits_of_other_scripts_are_no_codes(pocket: Pocket) -> None:
    secret = await pocket.enrol_totp()
    right = pocket.totp(secret)
    shown = await pocket.prepare(CODED)
    for zero in ("０", "០", "٠"):
        foreign = "".join(chr(ord(zero) + int(digit)) for digit in right)
        with pytest.raises(Refused) as refused:
            await pocket.authorise(CODED, shown, code=foreign)
        assert refused.value.reason is Reason.INVALID_REQUEST
    assert (await standing(pocket))["consecutive_failures"] == 0


# Redis gone


async def test_without_redis_codes_stop_and_signed_acts_go_on(
    works: Works, teller: Teller, vault: Vault
) -> None:
    gone = connect("redis://127.0.0.1:1/0")
    holder = await world.holder(works, vault=vault)
    pocket = await Pocket(works, teller, vault, holder, throttle=Throttle(gone)).pair()

    shown = await pocket.prepare(CODED)
    with pytest.raises(Refused) as refused:
        await pocket.ask_code(shown)
    assert refused.value.reason is Reason.OTP_UNAVAILABLE
    assert await count_of(works, "otp_challenges") == 0
    assert await count_of(works, "jobs") == 0

    plain = await pocket.prepare(PLAIN)
    assert isinstance(await pocket.authorise(PLAIN, plain), Done)
    await gone.aclose()


async def test_a_right_code_is_not_enough_when_the_gate_is_shut_or_empty(
    pocket: Pocket, redis: "Redis"
) -> None:
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    for gate in (Gate.SHUT, Gate.DEAD, Gate.NOT_ASKED):
        with pytest.raises(Refused) as refused:
            await pocket.authorise(CODED, shown, code=code, gate=gate)
        assert refused.value.reason is Reason.OTP_UNAVAILABLE
    await redis.flushall()
    with pytest.raises(Refused):
        await pocket.with_code(CODED, shown, code)
    assert await given(pocket.works) == []


async def test_what_redis_passes_postgresql_still_decides(pocket: Pocket) -> None:
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    outcome = await pocket.authorise(CODED, shown, code=wrong(code), gate=Gate.PASSED)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.OTP_WRONG


async def test_no_code_stands_in_any_table(pocket: Pocket) -> None:
    secret = await pocket.enrol_totp()
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    await pocket.with_code(CODED, shown, wrong(code))
    await pocket.with_code(CODED, shown, code)

    async def dump(work: Work) -> str:
        tables = ("otp_challenges", "otp_standing", "intents", "jobs", "audit", "events")
        lines = []
        for table in tables:
            for row in await work.rows(f"select row_to_json(t)::text as line from {table} t"):
                lines.append(row["line"])
        return "\n".join(lines)

    text = await pocket.works.read(SYSTEM, None, dump)
    for hidden in (code, wrong(code), secret):
        assert hidden not in text
        assert hidden.encode().hex() not in text


async def enrolled(pocket: Pocket) -> str:
    kind = authenticator.enrol_kind(pocket.vault)
    done = await pocket.authorise(kind, await pocket.prepare(kind, authenticator.Nothing()))
    assert isinstance(done, Done)
    assert done.secret is not None
    uri: str = done.secret["otpauth_uri"]
    assert uri.startswith("otpauth://totp/")
    return pyotp.parse_uri(uri).secret


async def settled(asking: Awaitable[Any]) -> Any:
    try:
        return await asking
    except Refused as refused:
        return refused


def resigned(shown: dict[str, Any], pocket: Pocket) -> str:
    """The canonical bytes of an intent as it was changed, as the phone would sign them."""
    parts = unbase64url(shown["canonical"]).replace(b"5000", b"5001", 1)
    try:
        canonical_of(
            {**shown, "canonical": base64url(parts)}, str(pocket.holder.id), str(pocket.device_id)
        )
    except ShownOtherwiseError:
        raise AssertionError("the test lays out other bytes than the phone") from None
    return base64url(parts)


async def standing(pocket: Pocket) -> dict[str, Any]:
    async def read(work: Work) -> dict[str, Any]:
        row = await work.row("select * from otp_standing where holder_id = $1", pocket.holder.id)
        return dict(row) if row else {}

    return await pocket.works.read(SYSTEM, None, read)


async def count_of(works: Works, table: str) -> int:
    async def read(work: Work) -> int:
        return int(await work.value(f"select count(*) from {table}"))

    return await works.read(SYSTEM, None, read)
