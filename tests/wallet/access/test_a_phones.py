"""Rows A9, A14, A16, A17, A18 of the security promises, and the ceremonies around a phone."""

import asyncio
import hmac
import statistics
import time
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import argon2
import pytest

from simulators.phone_keys import DeviceKey, unbase64url
from tests import world
from tests.desk import Desk
from tests.phones import Gift, Pocket, gift, warm, wrong
from tests.wallet.access.test_devices import Newcomer, active, paired
from tests.wallet.access.test_sessions import PIN, WRONG_PIN, Door, with_pin
from wallet.access import devices, numbers, pairings, pins, sessions, telling
from wallet.access.hashing import THREADS, WAITING_AT_MOST, Hashing
from wallet.access.intents import OtpPolicy
from wallet.access.numbers import Directory
from wallet.access.sessions import Recognition, SignedIn
from wallet.clock import TurnedClock
from wallet.database import Record
from wallet.identifiers import DeviceId, HolderId, Secret, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.registry import holders
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, WORKER, Actor, ActorKind, Works

PLAIN, CODED = gift(), gift(OtpPolicy.ALWAYS)
OLD, NEW = "+85512345678", "+85598765432"
REGISTER = Directory(of=holders.phone, put=holders.set_phones, well_formed=holders.is_number)


@pytest.fixture
async def holder(works: Works, vault: Vault) -> world.WorldHolder:
    return await world.holder(works, vault=vault, phone=OLD, language="en")


@pytest.fixture
async def door(
    works: Works, teller: Teller, vault: Vault, hashing: Hashing, throttle: Throttle,
    holder: world.WorldHolder,
) -> Door:  # fmt: skip
    pocket = await Pocket(works, teller, vault, holder, throttle=throttle).pair()
    await with_pin(pocket, hashing)
    return Door(pocket, hashing, throttle)


async def why(asking: Awaitable[Any]) -> str:
    try:
        answer = await asking
    except Refused as refused:
        return refused.reason.value
    return answer.reason.value if isinstance(answer, Declined) else "done"


async def rows(works: Works, sql: str, *arguments: Any) -> list[Record]:
    return await works.read(SYSTEM, None, lambda work: work.rows(sql, *arguments))


# A14, and what goes with a change of phone or number


async def test_a14_limits_at_11_59_and_none_at_12_01(
    door: Door, works: Works, clock: TurnedClock
) -> None:
    old = door.pocket
    phone = await Pocket(works, old.teller, old.vault, old.holder, throttle=old.throttle).pair()
    secret = await phone.enrol_totp()
    large = Gift(amount=400_001)
    clock.advance(timedelta(hours=11, minutes=59))
    assert await why(phone.authorise(PLAIN, await phone.prepare(PLAIN))) == "otp_required"
    shown = await phone.prepare(PLAIN, large, cooling=True)
    limited = await phone.authorise(PLAIN, shown, code=phone.totp(secret))
    assert limited == Declined(reason=Reason.LIMIT_EXCEEDED, facts={"limit": "cooling_off"})
    clock.advance(timedelta(minutes=2))
    shown = await phone.prepare(PLAIN, large)
    assert await why(phone.authorise(PLAIN, shown)) == "done"


async def enrolled_in_parallel(works: Works, vault: Vault, hashing: Hashing, rounds: int) -> None:
    for _ in range(rounds):
        person = await world.holder(works, vault=vault)
        two = [await Newcomer(works, vault, hashing).begin() for _ in range(2)]
        for phone in two:
            await phone.at_atm(person.id)
        done = await asyncio.gather(*(phone.complete() for phone in two))
        assert all(isinstance(one, Done) for one in done)
        [left] = await active(works, person.id)
        assert left["public_key"] in {unbase64url(phone.key.public) for phone in two}


async def test_a14_two_phones_enrolling_at_once_leave_one(
    works: Works, vault: Vault, hashing: Hashing
) -> None:
    await warm(works)
    await enrolled_in_parallel(works, vault, hashing, 4)


@pytest.mark.long
async def test_a14_two_phones_enrolling_at_once_leave_one_200_times(
    works: Works, vault: Vault, hashing: Hashing
) -> None:
    await warm(works)
    await enrolled_in_parallel(works, vault, hashing, 200)


class Sms:
    """What was handed to the gateway: it knows a reference when it sees it again."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, str]] = {}

    async def send(self, *, to: str, text: str, ref: str) -> None:
        self.sent[ref] = (to, text)


async def told_by_sms(works: Works, vault: Vault) -> list[tuple[str, str]]:
    sms = Sms()
    for job in await rows(works, "select payload from jobs where name = $1", numbers.TELL):
        for _ in range(2):
            await telling.send(
                works, vault, sms,
                lambda work, holder_id: holders.phone(work, vault, holder_id), WORKER,
                job["payload"],
            )  # fmt: skip
    return list(sms.sent.values())


async def notices(works: Works, holder_id: HolderId) -> list[str]:
    found = await rows(
        works, "select body->>'what' as what, kind as event, body->>'replaced' as replaced"
        " from events where holder_id = $1 order by 1, 2", holder_id,
    )  # fmt: skip
    return [row["what"] or f"{row['event']}:{row['replaced']}" for row in found]


async def test_a14_the_old_phone_the_inbox_and_the_number_are_told(
    holder: world.WorldHolder, works: Works, vault: Vault, hashing: Hashing, throttle: Throttle,
    teller: Teller,
) -> None:  # fmt: skip
    first = Newcomer(works, vault, hashing)
    old = Pocket(works, teller, vault, holder)
    old.device_id = DeviceId(UUID((await paired(first, holder)).answer["device_id"]))
    old.key = first.key
    door = Door(old, hashing, throttle)
    signed_in = await door.sign_in()
    assert await told_by_sms(works, vault) == [], "a first phone replaces nobody's"
    session = await door.who(signed_in)
    await paired(Newcomer(works, vault, hashing), holder)
    assert not await door.recognition.stands(session)
    assert await why(door.sign_in()) == "device_not_active"
    assert await why(door.sign_in(key=DeviceKey.fresh())) == "sign_in_failed"
    assert await told_by_sms(works, vault) == [(OLD, telling.TEXTS["device_replaced"]["en"])]
    assert "device.paired:true" in await notices(works, holder.id)


async def change_number(door: Door, number: str = NEW) -> Outcome:
    pocket = door.pocket
    return await pocket.works.perform(
        SYSTEM, pocket.bank,
        lambda work: numbers.change_at_atm(
            work, pocket.vault, REGISTER, pocket.holder.id, Secret(number)
        ),
    )  # fmt: skip


async def test_a_new_telephone_number_cools_the_phone_off_and_both_numbers_hear_of_it(
    door: Door, works: Works, vault: Vault, clock: TurnedClock
) -> None:
    signed_in = await door.sign_in()
    shown = await door.pocket.prepare(PLAIN)
    for odd in ("012345678", "+855 12 345 678", "+៨៥៥១២៣៤៥៦៧៨", "+0000000000", ""):
        assert await why(change_number(door, odd)) == "phone_invalid"
    assert isinstance(await change_number(door), Done)
    assert not await door.is_known(signed_in)
    assert await why(door.pocket.authorise(PLAIN, shown)) == "otp_required"
    assert (await door.who(await door.sign_in())).cooling
    now = await works.read(
        SYSTEM, door.pocket.bank, lambda work: holders.phone(work, vault, door.pocket.holder.id)
    )
    assert now is not None
    assert now.reveal() == NEW
    assert sorted(to for to, _ in await told_by_sms(works, vault)) == sorted([OLD, NEW])
    assert "number_changed" in await notices(works, door.pocket.holder.id)
    assert OLD not in str(await rows(works, "select row_to_json(t)::text from number_changes t"))
    clock.advance(timedelta(hours=12, minutes=1))
    assert not (await door.who(await door.sign_in())).cooling


async def test_at_a_branch_a_number_changes_by_two_clerks_for_exactly_what_was_asked(
    door: Door, desk: Desk, works: Works, vault: Vault, clock: TurnedClock
) -> None:
    pocket = door.pocket
    clerks = {}
    for login in ("maker.acleda", "checker.acleda"):
        enrolled = await desk.enrol(login)
        clerks[login] = Actor(kind=ActorKind.BANK_CLERK, id=str(enrolled.id), bank=pocket.bank)
    asked = await works.perform(
        clerks["maker.acleda"], pocket.bank,
        lambda work: numbers.request_by_clerk(
            work, vault, REGISTER, pocket.holder.id, Secret(NEW)
        ),
    )  # fmt: skip
    assert isinstance(asked, Done)
    change_id = UUID(asked.answer["change_id"])

    async def approve(login: str) -> str:
        clock.advance(timedelta(seconds=31))
        code = Secret(desk.code())
        return await why(
            works.perform(
                clerks[login], pocket.bank,
                lambda work: numbers.approve_by_clerk(work, vault, REGISTER, change_id, code),
            )
        )  # fmt: skip

    assert await approve("maker.acleda") == "four_eyes"
    assert await told_by_sms(works, vault) == []
    assert await approve("checker.acleda") == "done"
    assert await approve("checker.acleda") == "illegal_transition"
    assert len(await told_by_sms(works, vault)) == 2


# the PIN, and the way back


async def at_the_branch(phone: Newcomer, holder: world.WorldHolder, desk: Desk) -> None:
    """Two clerks confirm the phone; neither does it alone."""
    works, vault, bank = phone.works, phone.vault, holder.bank
    clerks = [await desk.enrol(login) for login in ("maker.acleda", "checker.acleda")]
    maker, checker = (Actor(kind=ActorKind.BANK_CLERK, id=str(one.id), bank=bank) for one in clerks)
    code = phone.begun["code"]
    await works.perform(
        maker, bank, lambda work: pairings.request_by_clerk(work, vault, holder.id, code)
    )
    assert (await phone.look())["state"] == "REQUESTED"

    async def approve(clerk: Actor) -> str:
        return await why(
            works.perform(
                clerk, bank,
                lambda work: pairings.approve_by_clerk(
                    work, vault, phone.id, Secret(desk.code())
                ),
            )
        )  # fmt: skip

    assert await approve(maker) == "four_eyes"
    assert await approve(checker) == "done"


@pytest.mark.parametrize("way", ["card and PIN", "two clerks"])
async def test_a_pin_is_reset_by_card_and_pin_or_two_clerks_told_and_cooled_off(
    way: str, holder: world.WorldHolder, works: Works, vault: Vault, hashing: Hashing,
    throttle: Throttle, teller: Teller, clock: TurnedClock, desk: Desk,
) -> None:  # fmt: skip
    phone = Newcomer(works, vault, hashing)
    device_id = (await paired(phone, holder)).answer["device_id"]
    pocket = Pocket(works, teller, vault, holder, throttle=throttle)
    pocket.key, pocket.device_id = phone.key, DeviceId(UUID(device_id))
    door = Door(pocket, hashing, throttle)
    signed_in = await door.sign_in()
    for _ in range(5):
        assert await why(door.sign_in(pin=WRONG_PIN)) == "sign_in_failed"
    assert await why(door.sign_in()) == "sign_in_failed", "resting"

    again = Newcomer(works, vault, hashing)
    again.key = phone.key
    await again.begin()
    if way == "two clerks":
        await at_the_branch(again, holder, desk)
    else:
        assert isinstance(await again.at_atm(holder.id), Done)
    done = await again.complete(pin="918273")
    assert isinstance(done, Done)
    assert done.answer["device_id"] == device_id
    assert done.answer["cooling_until"] == (works.clock.now() + devices.COOLING).isoformat()
    assert not await door.is_known(signed_in)
    clock.advance(timedelta(minutes=1))
    assert await why(door.sign_in()) == "sign_in_failed", "the old PIN"
    assert (await door.who(await door.sign_in(pin="918273"))).cooling
    assert await why(pocket.authorise(PLAIN, await pocket.prepare(PLAIN))) == "otp_required"
    assert "pin_reset" in await notices(works, holder.id)
    assert await told_by_sms(works, vault) == [(OLD, telling.TEXTS["pin_reset"]["en"])]
    assert len(await rows(works, "select from devices")) == 1
    clock.advance(timedelta(hours=12))
    assert await why(pocket.authorise(PLAIN, await pocket.prepare(PLAIN))) == "done"


async def test_pairing_the_same_phone_anew_frees_locked_codes(
    holder: world.WorldHolder, works: Works, vault: Vault, hashing: Hashing, throttle: Throttle,
    teller: Teller, clock: TurnedClock,
) -> None:  # fmt: skip
    phone = Newcomer(works, vault, hashing)
    device_id = (await paired(phone, holder)).answer["device_id"]
    pocket = Pocket(works, teller, vault, holder, throttle=throttle)
    pocket.key, pocket.device_id = phone.key, DeviceId(UUID(device_id))
    secret = await pocket.enrol_totp()
    for _ in range(5):
        shown = await pocket.prepare(CODED)
        await pocket.authorise(CODED, shown, code=wrong(pocket.totp(secret)))
    assert await why(
        pocket.authorise(CODED, await pocket.prepare(CODED), code=pocket.totp(secret))
    ) == "otp_locked"  # fmt: skip
    again = Newcomer(works, vault, hashing)
    again.key = phone.key
    await again.begin()
    assert isinstance(await again.at_atm(holder.id), Done)
    assert isinstance(await again.complete(pin="918273"), Done)
    clock.advance(timedelta(minutes=1))
    shown = await pocket.prepare(CODED)
    assert await why(pocket.authorise(CODED, shown, code=pocket.totp(secret))) == "done"


async def test_a_holder_gives_the_phone_up_by_its_signature(door: Door, works: Works) -> None:
    signed_in = await door.sign_in()
    shown = await door.pocket.prepare(devices.REVOKE, devices.NoFields())
    assert shown["needs"]["otp"] == "none"
    assert await why(door.pocket.authorise(devices.REVOKE, shown)) == "done"
    assert not await door.is_known(signed_in)
    assert await active(works, door.pocket.holder.id) == []
    assert "device_revoked" in await notices(works, door.pocket.holder.id)


async def test_what_a_phones_maker_says_of_its_key_is_recorded(
    holder: world.WorldHolder, works: Works, vault: Vault, hashing: Hashing
) -> None:
    phone = Newcomer(works, vault, hashing)
    said = b"\xa3cfmt" + bytes(200)
    begun = await pairings.begin(works, vault, unbase64url(phone.key.public), "k", said)
    assert isinstance(begun, Done)
    phone.begun = {**begun.answer, **(begun.secret or {})}
    await phone.at_atm(holder.id)
    await phone.complete()
    [row] = await rows(works, "select attestation from devices")
    assert row["attestation"] == said


# A16


async def test_a16_money_for_5_minutes_of_idling_and_30_in_all_reading_for_longer(
    door: Door, works: Works, clock: TurnedClock
) -> None:
    elsewhere = Recognition(works)

    async def may(signed_in: SignedIn, *, reading: bool = False) -> str:
        return await why(elsewhere.of(signed_in.token.reveal(), reading=reading))

    signed_in = await door.sign_in()
    clock.advance(timedelta(seconds=299))
    assert await may(signed_in) == "done"
    clock.advance(timedelta(seconds=301))
    assert await may(signed_in) == "sign_in_again"
    assert await may(signed_in, reading=True) == "done"
    assert await may(signed_in) == "sign_in_again", "to read on gives nothing back"
    for _ in range(23):
        clock.advance(timedelta(seconds=1_799))
        assert await may(signed_in, reading=True) == "done"
    clock.advance(timedelta(seconds=1_801))
    assert await may(signed_in, reading=True) == "unauthenticated"

    signed_in = await door.sign_in()
    for _ in range(17):
        clock.advance(timedelta(seconds=105))
        assert await may(signed_in) == "done"
    clock.advance(timedelta(seconds=16))
    assert await may(signed_in) == "sign_in_again", "half an hour is over, in use or not"
    for _ in range(24):
        clock.advance(timedelta(minutes=29))
        await may(signed_in, reading=True)
    assert await may(signed_in, reading=True) == "unauthenticated", "twelve hours are over"


async def test_a16_a_session_ended_from_the_list_is_over_on_every_process_at_once(
    door: Door, works: Works
) -> None:
    elsewhere = Recognition(works)
    signed_in = await door.sign_in()
    session = await door.who(signed_in)
    [listed] = await works.read(
        session.actor, session.bank, lambda work: sessions.listed(work, session)
    )
    assert (listed.id, listed.current, listed.may_act) == (session.id, True, True)
    with pytest.raises(Refused):
        await sessions.end(works, session, new_id())
    await elsewhere.of(signed_in.token.reveal())
    await sessions.end(works, session, listed.id)
    began = time.monotonic()
    for recognition in (door.recognition, elsewhere):
        assert await why(recognition.of(signed_in.token.reveal(), reading=True)) == (
            "unauthenticated"
        )
    assert time.monotonic() - began < 1


# A17, A18


async def test_a17_a_leaked_table_opens_no_pin_without_the_pepper(door: Door, works: Works) -> None:
    [row] = await rows(works, "select encoded from pins")
    encoded = str(row["encoded"])
    parameters = argon2.extract_parameters(encoded)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19_456, 2, 1)
    assert parameters.type is argon2.Type.ID
    hasher = argon2.PasswordHasher()
    # the right PIN itself, in every way it could be tried without the key: so could no other
    holder_id = door.pocket.holder.id
    for material in (PIN, f"{PIN}|{holder_id}", f"{PIN}{holder_id}", f"{holder_id}|{PIN}"):
        with pytest.raises(argon2.exceptions.VerifyMismatchError):
            hasher.verify(encoded, material)
    pepper = door.pocket.vault.pepper("pin")
    hasher.verify(encoded, hmac.digest(pepper, f"{PIN}|{holder_id}".encode(), "sha256"))
    assert await pins.matches(door.pocket.vault, door.hashing, holder_id, encoded, Secret(PIN))
    other = HolderId(new_id())
    assert not await pins.matches(door.pocket.vault, door.hashing, other, encoded, Secret(PIN))


async def test_a18_a_flood_of_sign_ins_fills_two_threads_and_a_queue_and_the_rest_hear_busy() -> (
    None
):
    hashing = Hashing()
    began = time.monotonic()
    flood = [asyncio.create_task(why(hashing.matches(None, b"1"))) for _ in range(200)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    refused = [task for task in flood if task.done()]
    assert len(refused) == 200 - THREADS - WAITING_AT_MOST
    assert {task.result() for task in refused} == {"busy"}
    assert time.monotonic() - began < 0.5
    # the loop that serves payments goes on meanwhile
    waits = []
    for _ in range(20):
        asked = time.perf_counter()
        await asyncio.sleep(0.001)
        waits.append(time.perf_counter() - asked)
    assert statistics.median(waits) < 0.03
    assert [await task for task in flood].count("done") == THREADS + WAITING_AT_MOST
    hashing.close()
