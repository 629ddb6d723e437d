"""How a phone becomes a holder's: by a stronger credential, one at a time, its key proved."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from simulators.phone_keys import DeviceKey, laid_out, unbase64url
from tests import world
from tests.desk import Desk
from tests.phones import warm
from wallet.access import devices, pairings, pins
from wallet.access.approvals import Approval
from wallet.access.hashing import Hashing
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, HolderId, PairingId, Secret, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
PIN = "730428"


class Newcomer:
    """A phone that wants to be paired."""

    def __init__(self, works: Works, vault: Vault, hashing: Hashing) -> None:
        self.works = works
        self.vault = vault
        self.hashing = hashing
        self.key = DeviceKey.fresh()
        self.begun: dict[str, Any] = {}

    async def begin(self, key: str | None = None) -> "Newcomer":
        public = unbase64url(self.key.public)
        outcome = await pairings.begin(self.works, self.vault, public, key or str(new_id()))
        assert isinstance(outcome, Done)
        self.begun = {**outcome.answer, **(outcome.secret or {})}
        return self

    @property
    def id(self) -> PairingId:
        return PairingId(UUID(self.begun["pairing_id"]))

    async def look(self, secret: str | None = None) -> dict[str, Any]:
        return await self.works.read(
            SYSTEM,
            None,
            lambda work: pairings.look(work, self.id, secret or self.begun["secret"]),
        )

    async def at_atm(
        self, holder_id: HolderId, code: str | None = None, bank: BankId = ACLEDA
    ) -> Outcome:
        return await self.works.perform(
            SYSTEM,
            bank,
            lambda work: pairings.confirm_at_atm(
                work, self.vault, holder_id, code or self.begun["code"]
            ),
        )

    async def complete(
        self, *, pin: str = PIN, signature: bytes | None = None, key: str | None = None
    ) -> Outcome:
        nonce = (await self.look()).get("nonce", "")
        message = laid_out("cswallet.pair.v1", str(self.id), unbase64url(nonce))
        return await pairings.complete(
            self.works,
            self.vault,
            self.hashing,
            self.id,
            secret=self.begun["secret"],
            pin=Secret(pin),
            signature=unbase64url(self.key.sign(message)) if signature is None else signature,
            key=key or str(new_id()),
        )


@pytest.fixture
async def newcomer(works: Works, vault: Vault, hashing: Hashing) -> Newcomer:
    return Newcomer(works, vault, hashing)


@pytest.fixture
async def holder(works: Works, vault: Vault) -> world.WorldHolder:
    return await world.holder(works, vault=vault)


async def test_a_phone_is_paired_at_an_atm(
    newcomer: Newcomer, holder: world.WorldHolder, works: Works
) -> None:
    await newcomer.begin()
    assert len(newcomer.begun["code"]) == 8
    assert (await newcomer.look())["state"] == "WAITING"
    assert isinstance(await newcomer.at_atm(holder.id), Done)
    assert (await newcomer.look())["state"] == "CONFIRMED"

    done = await newcomer.complete(key="once")
    assert isinstance(done, Done)
    assert done.answer["holder_id"] == str(holder.id)
    assert done.answer["cooling_until"] is None, "a first phone has nothing to cool off from"
    assert (await newcomer.look())["state"] == "COMPLETED"
    device = (await active(works, holder.id))[0]
    assert device["public_key"] == unbase64url(newcomer.key.public)

    with pytest.raises(Refused) as refused:
        await newcomer.complete()
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION


async def test_the_same_requests_again_have_the_same_answers(
    newcomer: Newcomer, holder: world.WorldHolder
) -> None:
    await newcomer.begin("my-key")
    first = newcomer.begun
    await newcomer.begin("my-key")
    assert newcomer.begun == first
    await newcomer.at_atm(holder.id)
    nonce = unbase64url((await newcomer.look())["nonce"])
    signature = unbase64url(
        newcomer.key.sign(laid_out("cswallet.pair.v1", str(newcomer.id), nonce))
    )
    done = await newcomer.complete(signature=signature, key="k")
    again = await newcomer.complete(signature=signature, key="k")
    assert done == again
    assert isinstance(done, Done)


async def test_a_code_is_good_for_ten_minutes_and_once(
    newcomer: Newcomer, holder: world.WorldHolder, works: Works, clock: TurnedClock
) -> None:
    await newcomer.begin()
    clock.advance(timedelta(minutes=10))
    assert (await newcomer.look())["state"] == "EXPIRED"
    late = await newcomer.at_atm(holder.id)
    assert late == Declined(reason=Reason.PAIRING_EXPIRED, facts={"tries_left": 4})

    await newcomer.begin()
    other = await world.holder(works, vault=newcomer.vault)
    assert isinstance(await newcomer.at_atm(holder.id), Done)
    stolen = await newcomer.at_atm(other.id)
    assert isinstance(stolen, Declined)
    assert stolen.reason is Reason.PAIRING_INVALID


async def test_five_wrong_codes_with_one_card_and_it_rests(
    newcomer: Newcomer, holder: world.WorldHolder, clock: TurnedClock
) -> None:
    await newcomer.begin()
    wrong = f"{(int(newcomer.begun['code']) + 1) % 10**8:08d}"
    foreign = "".join(chr(ord("០") + int(digit)) for digit in newcomer.begun["code"])
    for left, code in ((4, wrong), (3, foreign), (2, "x"), (1, ""), (0, wrong)):
        outcome = await newcomer.at_atm(holder.id, code or "-")
        assert outcome == Declined(reason=Reason.PAIRING_INVALID, facts={"tries_left": left})
    locked = await newcomer.at_atm(holder.id)
    assert isinstance(locked, Declined)
    assert locked.reason is Reason.LOCKED
    clock.advance(timedelta(minutes=10, seconds=1))
    await newcomer.begin()
    assert isinstance(await newcomer.at_atm(holder.id), Done)


async def test_the_phone_must_prove_its_key_and_know_its_secret(
    newcomer: Newcomer, holder: world.WorldHolder
) -> None:
    await newcomer.begin()
    with pytest.raises(Refused) as refused:
        await newcomer.complete()
    assert refused.value.reason is Reason.ILLEGAL_TRANSITION, "nobody has confirmed it yet"
    await newcomer.at_atm(holder.id)
    with pytest.raises(Refused) as refused:
        await newcomer.look("A" * 43)
    assert refused.value.reason is Reason.NOT_FOUND
    for left in (4, 3, 2, 1, 0):
        outcome = await newcomer.complete(signature=bytes(64))
        assert outcome == Declined(reason=Reason.SIGNATURE_INVALID, facts={"tries_left": left})
    with pytest.raises(Refused) as refused:
        await newcomer.complete()
    assert refused.value.reason is Reason.PAIRING_INVALID


async def test_a_new_phone_ends_the_old_one_and_cools_off(
    newcomer: Newcomer, holder: world.WorldHolder, works: Works, clock: TurnedClock
) -> None:
    await paired(newcomer, holder)
    second = Newcomer(works, newcomer.vault, newcomer.hashing)
    done = await paired(second, holder)
    assert done.answer["cooling_until"] == (clock.now() + timedelta(hours=12)).isoformat()
    [device] = await active(works, holder.id)
    assert device["public_key"] == unbase64url(second.key.public)
    events = await told(works, holder.id)
    assert [(event["channel"], event["replaced"]) for event in events] == [
        ("atm", False),
        ("atm", True),
    ]


async def test_phones_paired_at_once_leave_one(
    holder: world.WorldHolder, works: Works, vault: Vault, hashing: Hashing
) -> None:
    await warm(works)
    phones = [await Newcomer(works, vault, hashing).begin() for _ in range(6)]
    for phone in phones:
        await phone.at_atm(holder.id)
    outcomes = await asyncio.gather(*(phone.complete() for phone in phones))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert len(await active(works, holder.id)) == 1
    assert len(await told(works, holder.id)) == 6


async def test_a_lost_phone_is_revoked(
    newcomer: Newcomer, holder: world.WorldHolder, works: Works
) -> None:
    await paired(newcomer, holder)
    for expected in (True, False):
        revoked = await works.perform(
            SYSTEM, ACLEDA, lambda work: devices.revoke(work, holder.id, reason="lost")
        )
        assert revoked is expected
    assert await active(works, holder.id) == []


async def test_a_branch_needs_two_clerks(
    newcomer: Newcomer, holder: world.WorldHolder, desk: Desk, works: Works, clock: TurnedClock
) -> None:
    for login in ("maker.acleda", "checker.acleda", "checker.wing"):
        await desk.enrol(login)
    await newcomer.begin()

    async def request(work: Work) -> Approval | Declined:
        return await pairings.request_by_clerk(
            work, newcomer.vault, holder.id, newcomer.begun["code"]
        )

    async def approve(login: str, bank: str = "ACLEDA") -> Outcome:
        return await works.perform(
            desk.member(login).actor,
            BankId(bank),
            lambda work: pairings.approve_by_clerk(
                work, newcomer.vault, newcomer.id, Secret(desk.code())
            ),
        )

    approval = await works.perform(desk.member("maker.acleda").actor, ACLEDA, request)
    assert isinstance(approval, Approval)
    assert (await newcomer.look())["state"] == "REQUESTED"
    with pytest.raises(Refused):
        await newcomer.complete()

    for login, bank, reason in (
        ("maker.acleda", "ACLEDA", Reason.FOUR_EYES),
        ("checker.wing", "WING", Reason.NOT_FOUND),
    ):
        with pytest.raises(Refused) as refused:
            await approve(login, bank)
        assert refused.value.reason is reason
    clock.advance(timedelta(seconds=31))
    assert isinstance(await approve("checker.acleda"), Done)
    done = await newcomer.complete()
    assert isinstance(done, Done)
    assert [event["channel"] for event in await told(works, holder.id)] == ["branch"]


async def test_no_code_secret_or_pin_stands_in_any_table(
    newcomer: Newcomer, holder: world.WorldHolder, works: Works
) -> None:
    await paired(newcomer, holder)

    async def dump(work: Work) -> str:
        lines = []
        for table in ("pairings", "pairing_tries", "pins", "devices", "idempotency", "audit"):
            for row in await work.rows(f"select row_to_json(t)::text as line from {table} t"):
                lines.append(row["line"])
        return "\n".join(lines)

    text = await works.read(SYSTEM, None, dump)
    for hidden in (newcomer.begun["code"], newcomer.begun["secret"], PIN):
        assert hidden not in text
        assert hidden.encode().hex() not in text
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in text


def test_obvious_pins_are_not_taken() -> None:
    weak = ("000000", "123456", "654321", "012345", "890123", "121212", "123123", "112233",
            "123321", "12345", "1234567", "12345a", "１２３４５７", "១២៣៤៥៧", "",
            "998877", "147258", "159753", "789456", "852147", "112358")  # fmt: skip
    for pin in weak:
        with pytest.raises(Refused) as refused:
            pins.decide_strength(pin)
        assert refused.value.reason is Reason.PIN_WEAK
    for pin in (PIN, "135792", "100200", "847261"):
        pins.decide_strength(pin)


async def paired(phone: Newcomer, holder: world.WorldHolder) -> Done:
    await phone.begin()
    await phone.at_atm(holder.id)
    done = await phone.complete()
    assert isinstance(done, Done)
    return done


async def active(works: Works, holder_id: HolderId) -> list[dict[str, Any]]:
    async def read(work: Work) -> list[dict[str, Any]]:
        rows = await work.rows(
            "select * from devices where holder_id = $1 and state = 'ACTIVE'", holder_id
        )
        return [dict(row) for row in rows]

    return await works.read(SYSTEM, None, read)


async def told(works: Works, holder_id: HolderId) -> list[dict[str, Any]]:
    async def read(work: Work) -> list[dict[str, Any]]:
        rows = await work.rows(
            "select body from events where holder_id = $1 and kind = 'device.paired'"
            " order by xid, seq",
            holder_id,
        )
        return [row["body"] for row in rows]

    return await works.read(SYSTEM, None, read)
