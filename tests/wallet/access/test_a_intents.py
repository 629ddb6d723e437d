"""Rows A4, A5, A6, A8, A13 of the security promises: what is signed is what happens; the policy."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from simulators.phone_keys import DeviceKey, laid_out, unbase64url
from tests import world
from tests.phones import Gift, Pocket, gift, given, warm, wrong
from wallet.access import policy, signing
from wallet.access.challenges import code_over
from wallet.access.intents import Consumed, IntentKind, OtpPolicy, authorise_lane
from wallet.clock import TurnedClock
from wallet.identifiers import HolderId, new_id
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, GroupAnswer, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

PLAIN, CODED = gift(), gift(OtpPolicy.ALWAYS)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Pocket:
    holder = await world.holder(works, vault=vault, phone="+85512345678")
    return await Pocket(works, teller, vault, holder, throttle=throttle).pair()


async def settled(asking: Awaitable[Any]) -> Any:
    try:
        return await asking
    except Refused as refused:
        return refused


def why(answer: Any) -> str:
    return "done" if isinstance(answer, Done) else str(answer.reason.value)


# A4


def parts_of(payee: str = "ហាង\u200bបាយ\u200bស្រូប", amount: str = "500000") -> list[bytes]:
    """What a phone signs, part by part, as in the contract."""
    text = hashlib.sha256("Pay 500,000 riel.\nបង់ ៥០០.០០០ រៀល។".encode()).digest()
    return [
        b"cswallet.tx.v1", str(new_id()).encode(), b"qr.pay", str(new_id()).encode(),
        str(new_id()).encode(), amount.encode(), b"KHR", payee.encode(), text, bytes(range(32)),
        b"1768183320",
    ]  # fmt: skip


def mutations(chance: random.Random, number: int) -> None:
    key, secret = DeviceKey.fresh(), chance.randbytes(32)
    parts = parts_of()
    digest = hashlib.sha256(signing.canonical(parts)).digest()
    signature = unbase64url(key.sign(signing.canonical(parts)))
    public = unbase64url(key.public)
    assert signing.signed_by(public, signature, digest)
    code = code_over(secret, digest)
    for turn in range(number):
        place = turn % len(parts)
        bit = chance.randrange(len(parts[place]) * 8)
        field = bytearray(parts[place])
        field[bit // 8] ^= 1 << (bit % 8)
        changed = [*parts[:place], bytes(field), *parts[place + 1 :]]
        other = hashlib.sha256(signing.canonical(changed)).digest()
        assert not signing.signed_by(public, signature, other), (place, bit)
        assert code_over(secret, other) != code, (place, bit)


def test_a4_any_bit_of_any_field_changed_kills_code_and_signature() -> None:
    mutations(random.Random(4), 1_000)


@pytest.mark.long
def test_a4_any_bit_of_any_field_changed_kills_code_and_signature_10000_times() -> None:
    mutations(random.Random(40), 10_000)


def test_a4_no_other_spelling_of_an_act_has_its_bytes() -> None:
    holder, device, intent = new_id(), new_id(), new_id()

    def laid(**changed: Any) -> bytes:
        act: dict[str, Any] = {
            "intent_id": intent, "kind": "qr.pay", "holder_id": holder, "device_id": device,
            "money": Money.khr(5_000), "payee": "Café ស្រូប", "text_en": "Pay 5,000.",
            "text_km": "បង់ ៥.០០០។", "nonce": bytes(32),
            "expires_at": datetime(2026, 1, 12, tzinfo=UTC),
        }  # fmt: skip
        return signing.transaction(**{**act, **changed})

    variants = [
        laid(), laid(money=Money.usd(5_000)), laid(money=Money.khr(50_00 * 100)), laid(money=None),
        laid(money=Money.khr(5_001)), laid(payee="Cafe\u0301 ស្រូប"), laid(payee="Café ស្រូប "),
        laid(payee="Café ស្រុប"), laid(payee=""), laid(text_en="Pay 5,000.\n", text_km="បង់ ៥.០០០។"),
        laid(text_en="Pay 5,000", text_km=".\nបង់ ៥.០០០។"), laid(holder_id=device, device_id=holder),
        laid(kind="qr.pa", payee="yCafé ស្រូប"), laid(nonce=bytes(31) + b"\1"),
        laid(expires_at=datetime(2026, 1, 12, 0, 0, 1, tzinfo=UTC)),
    ]  # fmt: skip
    assert len(set(variants)) == len(variants)
    written = parts_of(amount="5000")
    for odd in ("05000", "+5000", "5000 ", "៥០០០", "5000.0", "5e3", "５０００"):
        assert signing.canonical(written) != signing.canonical(parts_of(amount=odd))


async def test_a4_one_riel_or_one_letter_changed_and_neither_code_nor_signature_fits(
    pocket: Pocket, works: Works
) -> None:
    changes = ("amount_minor = amount_minor + 1", "payee = 'LUCKI'", "text_km = text_km || 'ៗ'")
    for change in changes:
        shown = await pocket.prepare(CODED)
        signature = pocket.signature(shown)
        await works.perform(
            SYSTEM, None,
            lambda work, sql=change, one=shown: work.execute(
                f"update intents set {sql} where id = $1", UUID(one["id"])
            ),
        )  # fmt: skip
        outcome = await pocket.authorise(CODED, shown, signature=signature, code="00000000")
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID), change
    assert await given(works) == []


# A5


async def overwritten_while_authorised(pocket: Pocket, works: Works, rounds: int) -> None:
    posted: dict[str, tuple[int, str]] = {}

    async def authorise(work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
        for one in consumed:
            assert one.money is not None
            posted[str(one.intent_id)] = (one.money.minor, one.payee)
        return [Done(answer={}) for _ in consumed]

    kind = IntentKind(
        name="test.gift", fields=Gift, prepare=PLAIN.prepare, authorise=authorise, otp=PLAIN.otp
    )
    went, start_s = 0, 0.0
    for _ in range(rounds):
        shown = await pocket.prepare(kind)

        async def overwrite(one: dict[str, Any] = shown, after_s: float = start_s) -> None:
            sql = "update intents set amount_minor = 9000000, payee = 'THIEF' where id = $1"
            await asyncio.sleep(after_s)
            await works.perform(SYSTEM, None, lambda work: work.execute(sql, UUID(one["id"])))

        answer, _ = await asyncio.gather(pocket.authorise(kind, shown), overwrite())
        # Whoever lost gets a start over the other next time, so that it stays a race anywhere.
        if isinstance(answer, Done):
            went, start_s = went + 1, start_s / 2
            assert posted[shown["id"]] == (5_000, "LUCKY")
        else:
            start_s = max(0.001, start_s * 2)
            assert answer == Declined(reason=Reason.SIGNATURE_INVALID)
            assert shown["id"] not in posted
    assert 0 < went < rounds, "one side won always: nothing was tried"


async def test_a5_what_is_overwritten_between_show_and_sign_is_never_posted(
    pocket: Pocket, works: Works
) -> None:
    await warm(works)
    await overwritten_while_authorised(pocket, works, 20)


@pytest.mark.long
async def test_a5_what_is_overwritten_between_show_and_sign_is_never_posted_1000_rounds(
    pocket: Pocket, works: Works
) -> None:
    await warm(works)
    await overwritten_while_authorised(pocket, works, 1_000)


# A6


async def test_a6_steps_cannot_be_skipped_or_reordered(
    pocket: Pocket, works: Works, clock: TurnedClock
) -> None:
    secret = await pocket.enrol_totp()
    shown = await pocket.prepare(CODED)
    assert why(await settled(pocket.authorise(CODED, shown))) == "otp_required"
    code = await pocket.ask_code(shown)
    unsigned = await pocket.authorise(CODED, shown, code=pocket.totp(secret), signature=bytes(64))
    assert why(unsigned) == "signature_invalid"
    assert await given(works) == []
    assert why(await pocket.with_code(CODED, shown, code)) == "done"
    assert why(await settled(pocket.ask_code(shown))) == "intent_not_pending"
    poor = await pocket.prepare(PLAIN, Gift(fate="declined"))
    assert why(await pocket.authorise(PLAIN, poor)) == "insufficient_funds"
    assert why(await pocket.authorise(PLAIN, poor)) == "insufficient_funds"
    assert why(await settled(pocket.ask_code(poor))) == "intent_not_pending"
    plain = await pocket.prepare(PLAIN)
    assert why(await settled(pocket.ask_code(plain))) == "illegal_transition"
    late = await pocket.prepare(CODED)
    clock.advance(timedelta(seconds=121))
    for step in (pocket.ask_code(late), pocket.authorise(CODED, late, code=pocket.totp(secret))):
        assert why(await settled(step)) == "intent_expired"
    assert await given(works) == [shown["id"]]


# A8


async def test_a8_a_spray_without_device_keys_compares_nothing_and_takes_nothing(
    works: Works, teller: Teller, vault: Vault, throttle: Throttle
) -> None:
    pockets = []
    for _ in range(8):
        holder = await world.holder(works, vault=vault)
        pockets.append(await Pocket(works, teller, vault, holder, throttle=throttle).pair())
    thief = DeviceKey.fresh()
    for pocket in pockets:
        secret = await pocket.enrol_totp()
        shown = await pocket.prepare(CODED)
        forged = unbase64url(thief.sign(unbase64url(shown["canonical"])))
        # the right one among them: it is not even looked at
        for code in (*(f"{n:06d}" for n in range(4)), pocket.totp(secret)):
            outcome = await pocket.authorise(CODED, shown, code=code, signature=forged)
            assert why(outcome) == "signature_invalid"

    async def counted(work: Work) -> int:
        return int(await work.value("select coalesce(sum(consecutive_failures), 0)"
                                    " from otp_standing"))  # fmt: skip

    assert await works.read(SYSTEM, None, counted) == 0
    assert await given(works) == []


# A13


def forgeries(pocket: Pocket, shown: dict[str, Any], others: dict[str, bytes]) -> dict[str, bytes]:
    raw = pocket.signature(shown)
    canonical = unbase64url(shown["canonical"])
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    flipped = bytearray(raw)
    flipped[40] ^= 1

    def by(key: DeviceKey, message: bytes) -> bytes:
        return unbase64url(key.sign(message))

    return {
        "nothing (alg none)": b"",
        "DER": encode_dss_signature(r, s),
        "DER cut to 64 bytes": encode_dss_signature(r, s)[:64],
        "one byte more": raw + b"\0",
        "one byte less": raw[:-1],
        "zeroes": bytes(64),
        "r = 0": bytes(32) + raw[32:],
        "s = 0": raw[:32] + bytes(32),
        "r + n": ((r + ORDER) % 2**256).to_bytes(32, "big") + raw[32:],
        "r = n": ORDER.to_bytes(32, "big") + raw[32:],
        "s = n": raw[:32] + ORDER.to_bytes(32, "big"),
        "all ones": b"\xff" * 64,
        "s and r": raw[32:] + raw[:32],
        "little-endian": raw[31::-1] + raw[:31:-1],
        "one bit": bytes(flipped),
        "another key": by(DeviceKey.fresh(), canonical),
        "the digest signed": by(pocket.key, hashlib.sha256(canonical).digest()),
        "login domain": by(pocket.key, canonical.replace(b"cswallet.tx.v1", b"cswallet.lg.v1")),
        "bytes not laid out": by(pocket.key, canonical[4:]),
        "JSON of it": by(pocket.key, str(sorted(shown)).encode()),
        **others,
    }


async def test_a13_no_forged_signature_is_accepted(
    pocket: Pocket, works: Works, teller: Teller, vault: Vault
) -> None:
    victim = await pocket.prepare(PLAIN)
    holder = await world.holder(works, vault=vault)
    stranger = await Pocket(works, teller, vault, holder).pair()
    canonical = unbase64url(victim["canonical"])
    replayed = await pocket.prepare(PLAIN)
    others = {
        "another holder's key": unbase64url(stranger.key.sign(canonical)),
        "another intent's": pocket.signature(replayed),
        "another nonce": unbase64url(
            pocket.key.sign(canonical.replace(unbase64url(victim["nonce"]), bytes(32)))
        ),
        "empty parts": unbase64url(pocket.key.sign(laid_out(*[b""] * 11))),
    }  # fmt: skip
    tried = forgeries(pocket, victim, others)
    assert len(tried) >= 20
    for name, forged in tried.items():
        await works.perform(SYSTEM, None, lambda work: work.execute("update intents set tries = 0"))
        outcome = await pocket.authorise(PLAIN, victim, signature=forged)
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID), name
    assert await given(works) == []
    with pytest.raises(Refused) as off_curve:
        signing.point("BA" + "A" * 85)
    assert off_curve.value.reason is Reason.INVALID_REQUEST

    # a revoked key, with its own right signature
    await Pocket(works, teller, vault, pocket.holder).pair()
    assert why(await settled(pocket.authorise(PLAIN, victim))) == "device_not_active"


# the policy table


def test_the_shipped_table_is_strict_and_closed() -> None:
    table = policy.shipped()
    assert table.of("no.such.act").always
    assert table.of("qr.pay").asks(Money.khr(400_001))
    assert not table.of("qr.pay").asks(Money.khr(400_000))
    assert table.of("qr.pay").asks(Money.usd(50_01), new_payee=True)
    assert not table.of("qr.pay").asks(Money.usd(50_01))
    text = policy.SHIPPED_FILE.read_text("utf-8")
    for broken in (
        text.replace("above =", "abvoe =", 1),
        text.replace("KHR = 400_000, USD", "KHR = -1, USD", 1),
        text.replace("KHR = 400_000, USD = 10_000", "KHR = 400_000", 1),
        text.replace("code = true", "code = true\nabove = { KHR = 1, USD = 1 }", 1),
        text.replace("KHR = 400_000", 'KHR = "400_000"', 1),
        text.replace("KHR", "EUR"),
        "acts = 1",
        "",
    ):
        assert broken != text
        with pytest.raises(policy.PolicyError):
            policy.read(broken)


CUMULATIVE = gift(OtpPolicy(cumulative_minor={Currency.KHR: 20_000, Currency.USD: 500}))


async def unproven(pocket: Pocket) -> int:
    async def read(work: Work) -> int:
        return int(
            await work.value("select unproven_khr from devices where id = $1", pocket.device_id)
        )

    return await pocket.works.read(SYSTEM, pocket.bank, read)


async def test_what_goes_on_signatures_alone_adds_up_until_a_code_is_asked_for(
    pocket: Pocket, clock: TurnedClock
) -> None:
    secret = await pocket.enrol_totp()
    four = [await pocket.prepare(CUMULATIVE) for _ in range(6)]
    for shown in four[:4]:
        assert why(await pocket.authorise(CUMULATIVE, shown)) == "done"
    assert await unproven(pocket) == 20_000
    # shown when none was needed, it needs one now, and may have one sent
    assert four[4]["needs"]["otp"] == "none"
    assert why(await pocket.authorise(CUMULATIVE, four[4])) == "otp_required"
    assert len(await pocket.ask_code(four[4])) == 8
    # declined for funds, nothing is added; a right code begins anew
    outcome = await pocket.authorise(CUMULATIVE, four[4], code=wrong(pocket.totp(secret)))
    assert why(outcome) == "otp_wrong"
    assert why(await pocket.authorise(CUMULATIVE, four[4], code=pocket.totp(secret))) == "done"
    assert await unproven(pocket) == 0
    assert why(await pocket.authorise(CUMULATIVE, four[5])) == "done"
    assert await unproven(pocket) == 5_000
    dollars = await pocket.prepare(CUMULATIVE, Gift(amount=500, currency=Currency.USD))
    assert why(await pocket.authorise(CUMULATIVE, dollars)) == "done", "each currency has its sum"


async def test_the_sum_is_exact_when_processes_race_for_it(pocket: Pocket) -> None:
    await warm(pocket.works)
    shown = [await pocket.prepare(CUMULATIVE) for _ in range(12)]
    tellers = [Teller(pocket.works) for _ in range(4)]
    lane = authorise_lane(CUMULATIVE, pocket.vault)

    async def give(place: int) -> Outcome:
        while True:
            answer = await settled(
                tellers[place % 4].ask(lane, pocket.bank, pocket.tried(shown[place]))
            )
            if why(answer) != "in_flight":
                return answer  # type: ignore[no-any-return]

    answers = await asyncio.gather(*(give(place) for place in range(12)))
    assert sorted(map(why, answers)) == ["done"] * 4 + ["otp_required"] * 8
    assert await unproven(pocket) == 20_000


async def test_a_new_payee_and_a_newer_phone_ask_for_a_code(pocket: Pocket) -> None:
    asks = OtpPolicy(new_payee_above_minor={Currency.KHR: 1_000, Currency.USD: 1})
    assert asks.asks(Money.khr(1_001), new_payee=True)
    assert not asks.asks(Money.khr(1_000), new_payee=True)
    assert not asks.asks(Money.khr(1_001))
    lenient = OtpPolicy(while_cooling=False)
    assert OtpPolicy.NEVER.asks_after(0, Money.khr(1), cooling=True)
    assert not lenient.asks_after(0, Money.khr(1), cooling=True)
    shown = await pocket.prepare(PLAIN)
    # the phone begins to cool off between showing and signing
    await pocket.works.perform(
        SYSTEM, pocket.bank,
        lambda work: work.execute(
            "update devices set cooling_until = $2 where holder_id = $1",
            HolderId(pocket.holder.id), work.now + timedelta(hours=1),
        ),
    )  # fmt: skip
    assert why(await pocket.authorise(PLAIN, shown)) == "otp_required"
