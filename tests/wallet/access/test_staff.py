"""Staff sign in with passphrase and code, and nothing else opens the door."""

import asyncio
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.desk import PASSPHRASE, SECRET, Desk
from wallet.access import staff, staff_sessions, totp
from wallet.access.hashing import Hashing
from wallet.access.members import Role, StaffKind
from wallet.access.staff import SignInTry
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import Secret
from wallet.outcomes import Reason, Refused
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Works


@pytest.fixture(autouse=True)
async def dara(desk: Desk) -> None:
    await desk.enrol("dara")


async def refusal(desk: Desk, login: str = "dara", **changed: Any) -> Reason:
    with pytest.raises(Refused) as refused:
        await desk.sign_in(login, **changed)
    return refused.value.reason


async def test_passphrase_and_code_open_a_session_that_its_token_names(
    desk: Desk, works: Works
) -> None:
    signed_in = await desk.sign_in("dara")
    member = await staff_sessions.recognise(works, StaffKind.SUPPORT, signed_in.token.reveal())
    assert member.id == desk.people["dara"].id
    assert member.roles == {Role.AGENT}
    assert str(signed_in.token) == "***"


@pytest.mark.parametrize(
    "changed",
    [
        {"passphrase": "a wrong passphrase"},
        {"code": "000000"},
        {"login": "nobody"},
        {"kind": "bank_clerk"},
        {"code": "١٢٣٤٥٦"},
        {"code": "１２３４５６"},
        {"code": ""},
        {"code": "1" * 100_000},
        {"passphrase": ""},
        {"login": "'; drop table staff; --"},
    ],
    ids=lambda changed: "-".join(changed) + str(len(next(iter(changed.values())))),
)
async def test_the_answer_is_the_same_whatever_was_wrong(
    desk: Desk, changed: dict[str, str]
) -> None:
    assert await refusal(desk, **changed) is Reason.SIGN_IN_FAILED


async def test_a_right_code_in_full_width_digits_is_refused(desk: Desk) -> None:
    wide = desk.code().translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"})
    assert await refusal(desk, code=wide) is Reason.SIGN_IN_FAILED


async def test_a_code_is_good_once(desk: Desk, clock: TurnedClock) -> None:
    code = desk.code()
    await desk.sign_in("dara", code=code)
    assert await refusal(desk, code=code) is Reason.SIGN_IN_FAILED
    clock.advance(timedelta(seconds=30))
    assert await refusal(desk, code=code) is Reason.SIGN_IN_FAILED, "the step before, but used"
    await desk.sign_in("dara")


async def test_a_code_is_good_for_its_step_and_the_next_one_only(
    desk: Desk, clock: TurnedClock
) -> None:
    early = totp.code_at(SECRET, clock.now() + timedelta(seconds=30))
    assert await refusal(desk, code=early) is Reason.SIGN_IN_FAILED
    code = desk.code()
    clock.advance(timedelta(seconds=60))
    assert await refusal(desk, code=code) is Reason.SIGN_IN_FAILED
    code = desk.code()
    clock.advance(timedelta(seconds=59 - clock.now().second % 30 - 1))
    await desk.sign_in("dara", code=code)


async def test_one_right_code_sent_ten_times_at_once_opens_one_session(
    desk: Desk, database: Database
) -> None:
    code = desk.code()
    answers = await asyncio.gather(
        *(desk.sign_in("dara", code=code) for _ in range(10)), return_exceptions=True
    )
    assert sum(not isinstance(answer, Refused) for answer in answers) == 1
    assert len(await database.rows("select from staff_sessions")) == 1


async def test_five_failures_lock_even_the_right_answer_out_and_time_lets_in_again(
    desk: Desk, clock: TurnedClock
) -> None:
    for _ in range(5):
        await refusal(desk, passphrase="a wrong passphrase")
    assert await refusal(desk) is Reason.SIGN_IN_FAILED, "and it does not say that it is locked"
    clock.advance(timedelta(minutes=14, seconds=59))
    assert await refusal(desk) is Reason.SIGN_IN_FAILED
    clock.advance(timedelta(seconds=1))
    await desk.sign_in("dara")


async def test_of_many_guesses_at_once_five_are_compared(
    desk: Desk, clock: TurnedClock, database: Database
) -> None:
    wrong = [desk.sign_in("dara", passphrase=f"wrong passphrase {i}") for i in range(9)]
    await asyncio.gather(*wrong, return_exceptions=True)
    [row] = await database.rows("select failures, locked_until from staff where login = 'dara'")
    assert row["failures"] == 5
    assert row["locked_until"] == clock.now() + staff.FIRST_LOCK


async def test_losing_redis_loses_no_failure(desk: Desk, throttle: Throttle) -> None:
    for _ in range(5):
        await refusal(desk, passphrase="a wrong passphrase")
        await desk.redis.flushall()
    assert await refusal(desk) is Reason.SIGN_IN_FAILED


def test_each_further_five_failures_double_the_rest_up_to_a_day() -> None:
    locks = [staff.decide_lock(failures) for failures in range(1, 61)]
    assert [lock for lock in locks if lock][:4] == [
        timedelta(minutes=minutes) for minutes in (15, 30, 60, 120)
    ]
    assert sum(lock is not None for lock in locks) == 12
    assert locks[-1] == timedelta(hours=24)


async def test_a_success_forgives_the_failures_before_it(desk: Desk, clock: TurnedClock) -> None:
    for _ in range(3):
        for _ in range(4):
            await refusal(desk, passphrase="a wrong passphrase")
        clock.advance(timedelta(seconds=60))
        await desk.sign_in("dara")
        await desk.redis.flushall()


async def test_more_than_ten_tries_a_minute_are_turned_away_before_any_hashing(desk: Desk) -> None:
    reasons = [await refusal(desk, login="nobody") for _ in range(12)]
    assert reasons.count(Reason.RATE_LIMITED) >= 1


async def test_a_session_idles_out_after_fifteen_minutes(
    desk: Desk, works: Works, clock: TurnedClock
) -> None:
    token = (await desk.sign_in("dara")).token.reveal()
    for _ in range(3):
        clock.advance(timedelta(minutes=14, seconds=59))
        await staff_sessions.recognise(works, StaffKind.SUPPORT, token)
    clock.advance(timedelta(minutes=15, seconds=1))
    with pytest.raises(Refused) as refused:
        await staff_sessions.recognise(works, StaffKind.SUPPORT, token)
    assert refused.value.reason is Reason.UNAUTHENTICATED


async def test_a_session_ends_after_eight_hours_however_busy(
    desk: Desk, works: Works, clock: TurnedClock
) -> None:
    token = (await desk.sign_in("dara")).token.reveal()
    for _ in range(47):
        clock.advance(timedelta(minutes=10))
        await staff_sessions.recognise(works, StaffKind.SUPPORT, token)
    clock.advance(timedelta(minutes=10))
    with pytest.raises(Refused):
        await staff_sessions.recognise(works, StaffKind.SUPPORT, token)


async def test_a_token_opens_the_door_of_its_kind_only_until_signed_out(
    desk: Desk, works: Works
) -> None:
    token = (await desk.sign_in("dara")).token.reveal()
    for kind in (StaffKind.AGENCY_OFFICER, StaffKind.BANK_CLERK):
        with pytest.raises(Refused):
            await staff_sessions.recognise(works, kind, token)
    member = await staff_sessions.recognise(works, StaffKind.SUPPORT, token)
    await staff_sessions.sign_out(works, member)
    with pytest.raises(Refused):
        await staff_sessions.recognise(works, StaffKind.SUPPORT, token)


async def test_signing_in_ends_the_session_before_it(
    desk: Desk, works: Works, clock: TurnedClock
) -> None:
    first = (await desk.sign_in("dara")).token.reveal()
    clock.advance(timedelta(seconds=30))
    await desk.sign_in("dara")
    with pytest.raises(Refused):
        await staff_sessions.recognise(works, StaffKind.SUPPORT, first)


async def test_a_disabled_member_is_out_at_once(desk: Desk, works: Works) -> None:
    signed_in = await desk.sign_in("dara")
    await works.perform(
        signed_in.member.actor, None, lambda work: staff.disable(work, desk.people["dara"].id)
    )
    with pytest.raises(Refused):
        await staff_sessions.recognise(works, StaffKind.SUPPORT, signed_in.token.reveal())


async def test_no_token_passphrase_or_secret_stands_in_the_tables(
    desk: Desk, database: Database
) -> None:
    token = (await desk.sign_in("dara")).token.reveal()
    dump = ""
    for table in ("staff", "staff_sessions", "audit", "approvals"):
        dump += str(await database.rows(f"select row_to_json(t)::text from {table} t"))
    for secret in (token, PASSPHRASE, SECRET):
        assert secret not in dump
        assert secret.encode().hex() not in dump


async def test_a_short_passphrase_and_a_taken_login_are_refused(
    works: Works, vault: Vault, hashing: Hashing, desk: Desk
) -> None:
    async def enrol(login: str, passphrase: str) -> Reason:
        with pytest.raises(Refused) as refused:
            await staff.enrol(
                works,
                vault,
                hashing,
                kind=StaffKind.SUPPORT,
                login=login,
                name="Test",
                passphrase=Secret(passphrase),
                roles=frozenset({Role.AGENT}),
            )
        return refused.value.reason

    assert await enrol("new", "fourteen chars") is Reason.PASSPHRASE_WEAK
    assert await enrol("new", PASSPHRASE * 4) is Reason.PASSPHRASE_WEAK
    assert await enrol("dara", PASSPHRASE) is Reason.CONFLICT


async def test_a_flood_of_hashing_is_turned_away_not_queued_without_end() -> None:
    small = Hashing(threads=1, waiting_at_most=2)
    answers = await asyncio.gather(
        *(small.matches(None, b"x") for _ in range(10)), return_exceptions=True
    )
    busy = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(busy) == 7
    assert {answer.reason for answer in busy} == {Reason.BUSY}
    assert not await small.matches(None, b"x"), "and it recovers"
    small.close()


async def test_an_unknown_login_takes_as_long_as_a_wrong_passphrase(
    desk: Desk, clock: TurnedClock
) -> None:
    async def spent(login: str) -> float:
        await desk.redis.flushall()
        begun = time.perf_counter()
        tried = SignInTry(
            kind=StaffKind.SUPPORT,
            login=login,
            passphrase=Secret("a wrong passphrase"),
            code=Secret("000000"),
        )
        with pytest.raises(Refused):
            await staff.sign_in(desk.works, desk.vault, desk.hashing, desk.throttle, tried)
        return time.perf_counter() - begun

    await spent("dara")
    known = statistics.median([await spent("dara") for _ in range(15)])
    unknown = statistics.median([await spent("nobody") for _ in range(15)])
    assert 0.5 < unknown / known < 2, "a missing hash check would make it ten times shorter"
