"""Signing in with key and PIN: one answer to every mistake, short lives, ends that hold at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from api.mobile.intents import Factors
from api.mobile.pairings import Proof
from api.mobile.sessions import SignIn
from simulators.phone_keys import DeviceKey, laid_out, unbase64url
from tests import world
from tests.phones import Pocket, warm
from wallet.access import pins, sessions
from wallet.access.hashing import Hashing
from wallet.access.sessions import HolderSession, LoginTry, Recognition, SignedIn
from wallet.clock import TurnedClock
from wallet.identifiers import DeviceId, Secret, new_id
from wallet.outcomes import Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

HOST = "wallet.smartid.test"
PIN, WRONG_PIN = "730428", "730429"


class Door:
    """A paired phone with a PIN, signing in."""

    def __init__(self, pocket: Pocket, hashing: Hashing, throttle: Throttle) -> None:
        self.pocket = pocket
        self.hashing = hashing
        self.throttle = throttle
        self.recognition = Recognition(pocket.works)

    async def sign_in(
        self,
        *,
        pin: str = PIN,
        key: DeviceKey | None = None,
        device_id: DeviceId | None = None,
        challenge: str | None = None,
        host: str = HOST,
        domain: str = "cswallet.login.v1",
    ) -> SignedIn:
        device = device_id or self.pocket.device_id
        if challenge is None:
            challenge = await self.throttle.issue_login_nonce(str(device))
        message = laid_out(domain, unbase64url(challenge), str(device), host)
        return await sessions.sign_in(
            self.pocket.works,
            self.pocket.vault,
            self.hashing,
            self.throttle,
            HOST,
            LoginTry(
                device_id=device,
                challenge=challenge,
                signature=unbase64url((key or self.pocket.key).sign(message)),
                pin=Secret(pin),
            ),
        )

    async def who(self, signed_in: SignedIn) -> HolderSession:
        return await self.recognition.of(signed_in.token.reveal())

    async def is_known(self, signed_in: SignedIn) -> bool:
        try:
            await self.who(signed_in)
        except Refused:
            return False
        return True


@pytest.fixture
async def door(
    works: Works, teller: Teller, vault: Vault, hashing: Hashing, throttle: Throttle, redis: object
) -> Door:
    pocket = Pocket(works, teller, vault, await world.holder(works, language="en", vault=vault))
    await pocket.pair()
    await with_pin(pocket, hashing)
    return Door(pocket, hashing, throttle)


async def with_pin(pocket: Pocket, hashing: Hashing) -> None:
    encoded = await pins.encode(pocket.vault, hashing, pocket.holder.id, Secret(PIN))
    await pocket.works.perform(
        SYSTEM,
        pocket.bank,
        lambda work: pins.put(work, pocket.bank, pocket.holder.id, encoded),
    )


async def test_key_and_pin_open_a_session_that_names_its_holder(door: Door) -> None:
    signed_in = await door.sign_in()
    caller = await door.who(signed_in)
    assert caller.holder_id == door.pocket.holder.id
    assert caller.device_id == door.pocket.device_id
    assert (caller.bank, caller.language, caller.cooling) == ("ACLEDA", "en", False)
    assert caller.actor.scope == f"device:{door.pocket.device_id}"
    assert signed_in.token.reveal() not in await dumped(door.pocket.works)


async def test_whatever_is_wrong_the_answer_is_one(door: Door) -> None:
    other = await Pocket(
        door.pocket.works, door.pocket.teller, door.pocket.vault,
        await world.holder(door.pocket.works, vault=door.pocket.vault),
    ).pair()  # fmt: skip
    used = await door.throttle.issue_login_nonce(str(door.pocket.device_id))
    await door.sign_in(challenge=used)
    mistakes: list[dict[str, Any]] = [
        {"pin": WRONG_PIN},
        {"key": DeviceKey.fresh()},
        {"device_id": DeviceId(new_id())},
        {"device_id": other.device_id},
        {"challenge": used},
        {"challenge": await door.throttle.issue_login_nonce(str(other.device_id))},
        {"challenge": "A" * 43},
        {"host": "wallet.smartid.test.evil.example"},
        {"domain": "cswallet.pair.v1"},
        {"domain": "cswallet.tx.v1"},
    ]
    answers = set()
    for mistake in mistakes:
        with pytest.raises(Refused) as refused:
            await door.sign_in(**mistake)
        answers.add((refused.value.reason, tuple(refused.value.facts)))
    assert answers == {(Reason.SIGN_IN_FAILED, ())}


async def test_a_session_idles_out_after_five_minutes_and_ends_after_thirty(
    door: Door, clock: TurnedClock
) -> None:
    signed_in = await door.sign_in()
    for _ in range(5):
        clock.advance(timedelta(seconds=299))
        assert await door.is_known(signed_in)
    clock.advance(timedelta(seconds=301))
    assert not await door.is_known(signed_in)

    signed_in = await door.sign_in()
    for _ in range(17):
        clock.advance(timedelta(seconds=105))
        assert await door.is_known(signed_in)
    clock.advance(timedelta(seconds=16))
    assert not await door.is_known(signed_in), "half an hour is over, in use or not"


async def test_the_last_use_is_written_every_thirty_seconds_at_most(
    door: Door, clock: TurnedClock
) -> None:
    signed_in = await door.sign_in()
    seen = []
    for _ in range(6):
        clock.advance(timedelta(seconds=10))
        await door.who(signed_in)
        seen.append(await last_seen(door.pocket.works))
    assert len(set(seen)) == 3


async def test_signing_out_and_signing_in_anew_end_a_session_everywhere(door: Door) -> None:
    elsewhere = Recognition(door.pocket.works)
    first = await door.sign_in()
    second = await door.sign_in()
    assert not await door.is_known(first)
    caller = await elsewhere.of(second.token.reveal())
    await sessions.sign_out(door.pocket.works, caller)
    assert not await door.is_known(second)
    with pytest.raises(Refused):
        await elsewhere.of(second.token.reveal())


async def test_a_replaced_phone_is_out_at_once_and_cannot_come_back(
    door: Door, hashing: Hashing, clock: TurnedClock
) -> None:
    signed_in = await door.sign_in()
    pocket = door.pocket
    replacing = Pocket(pocket.works, pocket.teller, pocket.vault, pocket.holder)
    await replacing.pair()
    assert not await door.is_known(signed_in)
    with pytest.raises(Refused) as refused:
        await door.sign_in()
    assert refused.value.reason is Reason.DEVICE_NOT_ACTIVE, "told to whom proves the key"
    other_door = Door(replacing, hashing, door.throttle)
    assert (await other_door.who(await other_door.sign_in())).cooling
    clock.advance(timedelta(hours=12, seconds=1))
    assert not (await other_door.who(await other_door.sign_in())).cooling


async def test_five_wrong_pins_rest_the_pin_and_redis_cannot_make_it_forget(
    door: Door, clock: TurnedClock, redis: Any
) -> None:
    for _ in range(5):
        with pytest.raises(Refused):
            await door.sign_in(pin=WRONG_PIN)
    await redis.flushall()
    with pytest.raises(Refused) as refused:
        await door.sign_in()
    assert refused.value.reason is Reason.SIGN_IN_FAILED
    clock.advance(timedelta(minutes=30, seconds=1))
    assert await door.is_known(await door.sign_in())


async def test_of_pins_guessed_at_once_five_count(door: Door) -> None:
    pocket = door.pocket
    await warm(pocket.works)

    async def decide(right: bool) -> bool:
        async def act(work: Work) -> bool:
            pin = await pins.locked(work, pocket.holder.id)
            assert pin is not None
            await asyncio.sleep(0.01)
            return await pins.count(work, pocket.holder.id, pin, right=right)

        return await pocket.works.perform(SYSTEM, pocket.bank, act)

    results = await asyncio.gather(*(decide(right=False) for _ in range(8)))
    assert not any(results)
    assert not await decide(right=True), "the right one came too late"


async def test_who_lacks_the_key_cannot_lock_a_holder_out(door: Door, redis: Any) -> None:
    for _ in range(8):
        with pytest.raises(Refused):
            await door.sign_in(key=DeviceKey.fresh(), pin=WRONG_PIN)
    await redis.flushall()
    assert await door.is_known(await door.sign_in())


async def test_too_many_sign_ins_are_told_to_wait(door: Door) -> None:
    reasons = []
    for _ in range(12):
        try:
            await door.sign_in(challenge="A" * 43)
        except Refused as refused:
            reasons.append(refused.reason)
    assert reasons[-1] is Reason.RATE_LIMITED


async def test_many_requests_at_once_are_one_question(door: Door) -> None:
    signed_in = await door.sign_in()
    asked = []
    works = door.pocket.works
    read = works.read

    async def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return await read(*arguments)

    works.read = counted  # type: ignore[method-assign,assignment]
    token = signed_in.token.reveal()
    fine = [door.recognition.of(token) for _ in range(60)]
    planted = [door.recognition.of("B" * 43) for _ in range(20)]
    answers = await asyncio.gather(*fine, *planted, return_exceptions=True)
    assert all(isinstance(answer, HolderSession) for answer in answers[:60])
    assert all(isinstance(answer, Refused) for answer in answers[60:])
    assert len(asked) <= 2


async def test_without_redis_nobody_signs_in_but_sessions_go_on(door: Door) -> None:
    signed_in = await door.sign_in()
    client = connect("redis://127.0.0.1:1/0")
    cut = Door(door.pocket, door.hashing, Throttle(client))
    with pytest.raises(Refused) as refused:
        await cut.sign_in(challenge="A" * 43)
    assert refused.value.reason is Reason.OTP_UNAVAILABLE
    assert await cut.is_known(signed_in)
    await client.aclose()


def test_what_a_phone_proves_with_is_not_printed() -> None:
    tried = LoginTry(
        device_id=DeviceId(new_id()), challenge="c", signature=b"s", pin=Secret("730428")
    )
    bodies = [
        SignIn(device_id=tried.device_id, challenge="c", signature="s", pin="730428"),
        Proof(signature="s", pin="730428"),
        Factors(signature="s", otp="730428"),
    ]
    for shown in (tried, *bodies):
        assert "730428" not in repr(shown)


async def last_seen(works: Works) -> Any:
    async def read(work: Work) -> Any:
        return await work.value("select last_seen_at from sessions")

    return await works.read(SYSTEM, None, read)


async def dumped(works: Works) -> str:
    async def read(work: Work) -> str:
        rows = await work.rows("select row_to_json(s)::text as line from sessions s")
        return "\n".join(row["line"] for row in rows)

    return await works.read(SYSTEM, None, read)
