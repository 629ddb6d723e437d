"""Rows A1 to A12 of the security promises that are about codes: named as they stand there.

Each has a short form for every run and, marked long, the figures of its row.
"""

import asyncio
import hashlib
import multiprocessing
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from redis.asyncio import Redis

from runtime.embedded import Embedded
from tests import phones, world
from tests.phones import Pocket, gift, warm, wrong
from wallet.access import challenges, otp
from wallet.access.challenges import Gate
from wallet.access.intents import Authorising, OtpPolicy, authorise_lane
from wallet.access.totp import code_at
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId, DeviceId, HolderId, IntentId, Secret
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works

CODED = gift(OtpPolicy.ALWAYS)


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Pocket:
    return await paired(works, teller, vault, throttle)


async def paired(works: Works, teller: Teller, vault: Vault, throttle: Throttle) -> Pocket:
    holder = await world.holder(works, vault=vault, phone="+85512345678")
    return await Pocket(works, teller, vault, holder, throttle=throttle).pair()


async def settled(asking: Awaitable[Any]) -> Any:
    try:
        return await asking
    except Refused as refused:
        return refused


def told(answer: Any) -> str:
    if isinstance(answer, Done):
        return "accepted" if answer.secret is not None else "repeated"
    reason: Reason = answer.reason
    return reason.value


async def failures(pocket: Pocket) -> int:
    async def read(work: Work) -> int:
        sql = "select consecutive_failures from otp_standing where holder_id = $1"
        return int(await work.value(sql, pocket.holder.id) or 0)

    return await pocket.works.read(SYSTEM, pocket.bank, read)


# A1


class Submitted(Struct, frozen=True, kw_only=True):
    """One right code, as a process of its own submits it."""

    holder_id: HolderId
    device_id: DeviceId
    bank: BankId
    intent_id: IntentId
    signature: bytes
    code: str


async def submit_all(
    works: Works, vault: Vault, throttle: Throttle, tellers: Sequence[Teller],
    submitted: Sequence[Submitted], times: int,
) -> Counter[str]:  # fmt: skip
    """Each code so many times at once, as `intent|what was told`."""
    lane = authorise_lane(CODED, vault)

    async def once(one: Submitted, teller: Teller) -> str:
        actor = Actor(
            kind=ActorKind.DEVICE, id=str(one.device_id), bank=one.bank,
            holder_id=one.holder_id, device_id=one.device_id,
        )  # fmt: skip
        gate = await challenges.gate(
            teller, vault, throttle, actor, one.intent_id, one.code, one.signature
        )
        tried = Authorising(
            intent_id=one.intent_id, holder_id=one.holder_id, device_id=one.device_id,
            signature=one.signature, code=Secret(one.code), gate=gate,
        )  # fmt: skip
        return told(await teller.ask(lane, one.bank, tried))

    async def heard(one: Submitted, teller: Teller) -> str:
        answer = await settled(once(one, teller))
        return answer if isinstance(answer, str) else told(answer)

    asked = [(one, tellers[i % len(tellers)]) for one in submitted for i in range(times)]
    answers = await asyncio.gather(*(heard(*one) for one in asked))
    return Counter(f"{one.intent_id}|{a}" for (one, _), a in zip(asked, answers, strict=True))


async def submitted_by(pocket: Pocket) -> Submitted:
    shown = await pocket.prepare(CODED)
    return Submitted(
        holder_id=pocket.holder.id,
        device_id=pocket.device_id,
        bank=pocket.bank,
        intent_id=IntentId(UUID(shown["id"])),
        signature=pocket.signature(shown),
        code=await pocket.ask_code(shown),
    )


def in_a_process(
    database_url: str, redis_url: str, key_file: Path, clock: TurnedClock,
    submitted: Sequence[Submitted], times: int,
) -> Counter[str]:  # fmt: skip
    async def run() -> Counter[str]:
        database = await Database.connect(database_url, largest=8, statement_timeout_s=60)
        redis = connect(redis_url, timeout_s=20)
        works = Works(database, clock)
        teller = Teller(works)
        try:
            return await submit_all(
                works, Vault(SoftwareKeyStore.open_or_create(key_file)),
                Throttle(redis, answer_timeout_s=20), [teller], submitted, times,
            )  # fmt: skip
        finally:
            await teller.close()
            await redis.aclose()
            await database.close()

    return asyncio.run(run())


def assert_accepted_once(submitted: Sequence[Submitted], counted: Counter[str]) -> None:
    for one in submitted:
        assert counted[f"{one.intent_id}|accepted"] == 1
    # a repeat that came between the code's use and its effect, or to a queue that was full
    others = {"repeated", "in_flight", "busy", "unavailable", "otp_unavailable"}
    assert {key.split("|")[1] for key in counted} <= {"accepted", *others}


async def test_a1_a_code_is_accepted_once(
    works: Works, teller: Teller, vault: Vault, servers: Embedded
) -> None:
    await warm(works)
    redis = connect(servers.redis_url, timeout_s=20)
    patient = Throttle(redis, answer_timeout_s=20)
    pockets = [await paired(works, teller, vault, patient) for _ in range(5)]
    submitted = [await submitted_by(pocket) for pocket in pockets]
    tellers = [Teller(works) for _ in range(4)]
    counted = await submit_all(works, vault, patient, tellers, submitted, 40)
    assert_accepted_once(submitted, counted)
    assert sorted(await phones.given(works)) == sorted(str(one.intent_id) for one in submitted)
    await redis.aclose()


@pytest.mark.long
async def test_a1_a_code_is_accepted_once_of_200_by_four_processes_1000_times(
    works: Works, teller: Teller, vault: Vault, throttle: Throttle, clock: TurnedClock,
    database_url: str, servers: Embedded, tmp_path: Path,
) -> None:  # fmt: skip
    pockets = [await paired(works, teller, vault, throttle) for _ in range(50)]
    loop = asyncio.get_running_loop()
    expected: list[str] = []
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        for _ in range(20):
            submitted = [await submitted_by(pocket) for pocket in pockets]
            expected += [str(one.intent_id) for one in submitted]
            settings_ = (database_url, servers.redis_url, tmp_path / "master.key", clock)
            ways = [
                loop.run_in_executor(processes, in_a_process, *settings_, submitted, 50)
                for _ in range(4)
            ]
            assert_accepted_once(submitted, sum(await asyncio.gather(*ways), Counter()))
            clock.advance(timedelta(minutes=11))
    assert sorted(await phones.given(works)) == sorted(expected)
    assert len(expected) == 1_000


async def test_a1_replayed_elsewhere_or_after_redis_is_lost_or_set_back_a_code_is_refused(
    pocket: Pocket, teller: Teller, redis: "Redis"
) -> None:
    """E8."""
    shown, other = await pocket.prepare(CODED), await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    [key] = [name async for name in redis.scan_iter("*:chal:*")]
    earlier = await redis.dump(key)
    assert earlier is not None
    assert isinstance(await pocket.with_code(CODED, shown, code), Done)

    async def refused_for(one: dict[str, Any]) -> None:
        # the phone signs again, so that it is another request with the same code
        answer = await settled(pocket.with_code(CODED, one, code))
        assert not isinstance(answer, Done), answer

    await refused_for(other)
    # as it stood a minute ago, before the code was used
    await redis.restore(key, 60_000, earlier, replace=True)
    await refused_for(other)
    again = await pocket.with_code(CODED, shown, code)
    assert isinstance(again, Done), "the stored answer, and no second effect"
    assert again.secret is None
    await redis.flushall()
    await refused_for(other)
    # another device of the holder's, another process, after a restart
    elsewhere = Pocket(
        pocket.works, Teller(pocket.works), pocket.vault, pocket.holder, throttle=pocket.throttle
    )
    await elsewhere.pair()
    signed = pocket.signature(shown)
    for gate in (Gate.PASSED, Gate.WRONG):
        answer = await settled(
            elsewhere.authorise(CODED, shown, code=code, gate=gate, signature=signed)
        )
        assert isinstance(answer, Refused)
        assert answer.reason is Reason.NOT_FOUND
    assert await phones.given(pocket.works) == [shown["id"]]


# A2, and what DESIGN 9.1 adds to it


async def guesses(pocket: Pocket, number: int) -> Counter[str]:
    secret = await pocket.enrol_totp()
    right = int(pocket.totp(secret))
    intents = [await pocket.prepare(CODED) for _ in range(20)]
    tried = [
        pocket.tried(intents[i % 20], code=f"{(right + 7 + i) % 1_000_000:06d}")
        for i in range(number)
    ]
    tellers = [Teller(pocket.works) for _ in range(4)]
    lane = authorise_lane(CODED, pocket.vault)
    told_all: Counter[str] = Counter()
    for start in range(0, number, 1_000):
        some = tried[start : start + 1_000]
        asking = (tellers[i % 4].ask(lane, pocket.bank, one) for i, one in enumerate(some))
        told_all.update(map(told, await asyncio.gather(*map(settled, asking))))
    final = await pocket.prepare(CODED)
    assert told(await pocket.authorise(CODED, final, code=pocket.totp(secret))) == "otp_locked"
    return told_all


async def test_a2_five_wrong_codes_of_200_sent_at_once_are_compared(
    pocket: Pocket, redis: "Redis"
) -> None:
    await warm(pocket.works)
    counted = await guesses(pocket, 200)
    assert await failures(pocket) == 5
    assert counted["accepted"] == 0
    await redis.flushall()
    shown = await pocket.prepare(CODED)
    code = await pocket.ask_code(shown)
    assert told(await pocket.with_code(CODED, shown, code)) == "otp_locked", "a new code frees none"


@pytest.mark.long
async def test_a2_five_wrong_codes_of_10000_sent_at_once_are_compared(pocket: Pocket) -> None:
    await warm(pocket.works)
    counted = await guesses(pocket, 10_000)
    assert await failures(pocket) == 5
    assert counted["accepted"] == 0


async def test_a2_a_wrong_request_sent_again_counts_once_in_redis_and_in_postgresql(
    pocket: Pocket,
) -> None:
    await warm(pocket.works)
    shown = await pocket.prepare(CODED)
    bad = wrong(await pocket.ask_code(shown))
    signature = pocket.signature(shown)

    async def again() -> Outcome:
        assert pocket.throttle is not None
        gate = await challenges.gate(
            pocket.teller, pocket.vault, pocket.throttle, pocket.actor,
            IntentId(UUID(shown["id"])), bad, signature,
        )  # fmt: skip
        return await pocket.authorise(CODED, shown, code=bad, gate=gate, signature=signature)

    answers = [await again(), *await asyncio.gather(*(again() for _ in range(12))), await again()]
    assert set(map(str, answers)) == {
        str(Declined(reason=Reason.OTP_WRONG, facts={"tries_left": 4}))
    }
    assert await failures(pocket) == 1
    secret = await pocket.enrol_totp()
    bad_totp = wrong(pocket.totp(secret))
    for _ in range(4):
        outcome = await pocket.authorise(CODED, shown, code=bad_totp, signature=signature)
        assert outcome == Declined(reason=Reason.OTP_WRONG, facts={"tries_left": 3})
    # signed anew it is another try
    await pocket.authorise(CODED, shown, code=bad_totp)
    assert await failures(pocket) == 3


# A3

STEPS = ("ask", "wrong", "sent wrong", "right", "expire", "restart", "flush", "wait")


@pytest.fixture
async def street(
    works: Works, teller: Teller, vault: Vault, throttle: Throttle, redis: "Redis"
) -> "Street":
    return Street(works, teller, vault, throttle, redis)


class Street:
    """Where the runs of A3 find a fresh holder each."""

    def __init__(
        self, works: Works, teller: Teller, vault: Vault, throttle: Throttle, redis: "Redis"
    ) -> None:
        self.works, self.teller, self.vault = works, teller, vault
        self.throttle, self.redis = throttle, redis

    async def run(self, steps: Sequence[str]) -> None:
        pocket = await paired(self.works, self.teller, self.vault, self.throttle)
        secret = await pocket.enrol_totp()
        clock = self.works.clock
        assert isinstance(clock, TurnedClock)
        in_a_row, rests = 0, 0
        shown, sent = await pocket.prepare(CODED), "00000000"
        for step in steps:
            answer: Any = None
            match step:
                case "ask":
                    shown = await pocket.prepare(CODED)
                    sent = str(await settled(pocket.ask_code(shown)))
                case "wrong":
                    shown = await pocket.prepare(CODED)
                    answer = await settled(
                        pocket.authorise(CODED, shown, code=wrong(pocket.totp(secret)))
                    )
                case "sent wrong":
                    bad = wrong(sent) if otp.well_formed(sent) else "12345678"
                    answer = await settled(pocket.with_code(CODED, shown, bad))
                case "right":
                    clock.advance(timedelta(seconds=31))
                    shown = await pocket.prepare(CODED)
                    answer = await settled(pocket.authorise(CODED, shown, code=pocket.totp(secret)))
                case "expire":
                    clock.advance(timedelta(seconds=121))
                case "restart":
                    pocket.teller = Teller(self.works)
                case "flush":
                    await self.redis.flushall()
                case _:
                    clock.advance(timedelta(minutes=31))
                    rests += 1
            if isinstance(answer, Done):
                in_a_row, rests = 0, 0
            in_a_row = max(in_a_row, await failures(pocket))
            # after the fifth, each further comparison has cost half an hour
            assert in_a_row <= 5 + rests, steps


@settings(
    max_examples=12, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=st.lists(st.sampled_from(STEPS), min_size=6, max_size=14))
async def test_a3_a_new_code_does_not_reset_the_count(street: Street, steps: list[str]) -> None:
    await street.run(steps)


@pytest.mark.long
@settings(
    max_examples=5_000, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=20))
async def test_a3_a_new_code_does_not_reset_the_count_in_5000_runs(
    street: Street, steps: list[str]
) -> None:
    await street.run(steps)


# A7, A9 (the answer), A11, A12, A19


async def test_a7_a_code_is_good_at_119_seconds_and_not_at_121(
    pocket: Pocket, clock: TurnedClock
) -> None:
    early, late = await pocket.prepare(CODED), await pocket.prepare(CODED)
    code, too_late = await pocket.ask_code(early), await pocket.ask_code(late)
    clock.advance(timedelta(seconds=119))
    assert told(await pocket.with_code(CODED, early, code)) == "accepted"
    clock.advance(timedelta(seconds=2))
    assert told(await settled(pocket.with_code(CODED, late, too_late))) == "intent_expired"


async def test_a9_wrong_expired_never_sent_and_anothers_code_have_one_answer(
    pocket: Pocket, works: Works
) -> None:
    first, second, bare = [await pocket.prepare(CODED) for _ in range(3)]
    code = await pocket.ask_code(first)
    other = await pocket.ask_code(second)
    await works.perform(
        SYSTEM, None,
        lambda work: work.execute(
            "update otp_challenges set expires_at = expires_at - interval '2 minutes'"
            " where intent_id = $1", UUID(second["id"]),
        ),
    )  # fmt: skip
    answers = [
        await pocket.with_code(CODED, first, wrong(code)),
        await pocket.with_code(CODED, second, other),  # right, and over
        await pocket.with_code(CODED, bare, code),  # nothing was sent for this one
        await pocket.with_code(CODED, first, other),
    ]
    assert answers == [
        Declined(reason=Reason.OTP_WRONG, facts={"tries_left": left}) for left in (4, 3, 2, 1)
    ]


NO_CODES = (
    "１２３４５６", "១២៣៤៥៦", "٠١٢٣٤٥",
    " 123456", "123456 ", "+12345", "-12345", "1e5000", "0x1234",
    "12345", "1234567", "123456789", "1" * 11, "", "\x00" * 6, "123456\n", "1" * 1_000_000,
)  # fmt: skip


@pytest.mark.parametrize("text", NO_CODES, ids=range(len(NO_CODES)))
async def test_a11_the_edges_of_pyotp_do_not_leak_through(text: str) -> None:
    assert not otp.well_formed(text)


async def test_a12_drift_is_tolerated_once_and_not_widened(
    pocket: Pocket, clock: TurnedClock
) -> None:
    secret = await pocket.enrol_totp()
    now = clock.now().replace(second=0)
    clock.advance(now + timedelta(minutes=1) - clock.now())
    now = clock.now()

    async def at(offset_s: int) -> str:
        code = code_at(secret, now + timedelta(seconds=offset_s))
        return told(await pocket.authorise(CODED, await pocket.prepare(CODED), code=code))

    assert await at(-61) == "otp_wrong"
    assert await at(-30) == "accepted"
    assert await at(-30) == "otp_wrong", "used"
    assert await at(30) == "accepted"
    assert await at(0) == "otp_wrong", "older than the last one used"
    assert await at(90) == "otp_wrong"


async def test_a19_three_messages_in_ten_minutes_whatever_they_are_for(
    pocket: Pocket, clock: TurnedClock, works: Works
) -> None:
    await warm(works)
    intents = [await pocket.prepare(CODED) for _ in range(8)]
    answers = await asyncio.gather(*(settled(pocket.ask_code(one)) for one in intents))
    assert Counter("sent" if isinstance(a, str) else told(a) for a in answers) == {
        "sent": 3, "rate_limited": 5
    }  # fmt: skip
    clock.advance(timedelta(minutes=9, seconds=59))
    assert told(await settled(pocket.ask_code(await pocket.prepare(CODED)))) == "rate_limited"
    clock.advance(timedelta(seconds=2))
    assert len(await pocket.ask_code(await pocket.prepare(CODED))) == 8


def test_no_two_keys_or_transactions_share_a_code_more_often_than_chance() -> None:
    chance = random.Random(sys.maxsize)
    made = {
        challenges.code_over(chance.randbytes(32), hashlib.sha256(chance.randbytes(8)).digest())
        for _ in range(1_000)
    }
    assert len(made) >= 998
