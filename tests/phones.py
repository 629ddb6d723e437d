"""Phones for tests: a key, a device made by its owner's own act, signing by the contract."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from simulators.phone_keys import DeviceKey, canonical_of, unbase64url
from tests.world import WorldHolder
from wallet.access import challenges, devices, otp, reading
from wallet.access.authorising import authorise
from wallet.access.challenges import Gate
from wallet.access.intents import (
    Asked,
    Authorising,
    Consumed,
    IntentKind,
    OtpPolicy,
    Prepared,
    authorise_lane,
    prepare_lane,
)
from wallet.access.totp import code_at
from wallet.identifiers import BankId, DeviceId, IntentId, Secret
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, GroupAnswer, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works


class Gift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of the kind of act these tests do: `fate` says what its effect will answer."""

    amount: int = 5_000
    currency: Currency = Currency.KHR
    payee: str = "LUCKY"
    fate: str = "done"


async def _prepare(work: Work, asked: Sequence[Asked]) -> Sequence[Prepared | Refused]:
    return [
        Refused(Reason.AMOUNT_INVALID)
        if one.fields.amount <= 0
        else Prepared(
            text_en=f"Give {one.fields.amount} to {one.fields.payee}.",
            text_km=f"ឱ្យ {one.fields.amount} ទៅ {one.fields.payee}។",
            money=Money(one.fields.amount, one.fields.currency),
            payee=one.fields.payee,
            plan={"fate": one.fields.fate},
            facts={"shop": one.fields.payee},
        )
        for one in asked
    ]


async def _authorise(work: Work, consumed: Sequence[Consumed]) -> Sequence[GroupAnswer]:
    answers: list[GroupAnswer] = []
    for one in consumed:
        fate = one.plan["fate"]
        if fate == "explodes":
            raise RuntimeError("the effect fell over")
        if fate == "refused":
            answers.append(Refused(Reason.CONFLICT))
            continue
        if fate == "declined":
            answers.append(Declined(reason=Reason.INSUFFICIENT_FUNDS))
            continue
        if fate == "slow":
            await asyncio.sleep(0.05)
        work.note("gift.given", str(one.intent_id), holder_id=one.holder_id)
        answers.append(
            Done(answer={"given": str(one.intent_id)}, secret={"wrapping": "SHOWN-ONCE"})
        )
    return answers


def gift(otp_policy: OtpPolicy = OtpPolicy.NEVER) -> IntentKind:
    return IntentKind(
        name="test.gift", fields=Gift, prepare=_prepare, authorise=_authorise, otp=otp_policy
    )


async def warm(works: Works, connections: int = 8) -> None:
    """Open so many connections beforehand: races whose members first have to dial are none."""

    async def wait(work: Work) -> None:
        await work.value("select pg_sleep(0.1)")

    await asyncio.gather(*(works.read(SYSTEM, None, wait) for _ in range(connections)))


async def given(works: Works) -> list[str]:
    """The intents that took effect, once for each time they did."""

    async def read(work: Work) -> list[str]:
        rows = await work.rows("select subject from audit where act = 'gift.given'")
        return [row["subject"] for row in rows]

    return await works.read(SYSTEM, None, read)


class Pocket:
    """A paired phone and the desk it acts at, without HTTP."""

    def __init__(
        self,
        works: Works,
        teller: Teller,
        vault: Vault,
        holder: WorldHolder,
        *,
        throttle: Throttle | None = None,
    ) -> None:
        self.works = works
        self.teller = teller
        self.vault = vault
        self.holder = holder
        self.throttle = throttle
        self.key = DeviceKey.fresh()
        self.device_id = DeviceId(holder.id)

    @property
    def bank(self) -> BankId:
        return self.holder.bank

    @property
    def actor(self) -> Actor:
        return Actor(
            kind=ActorKind.DEVICE,
            id=str(self.device_id),
            bank=self.bank,
            holder_id=self.holder.id,
            device_id=self.device_id,
        )

    async def pair(self) -> "Pocket":
        device = await self.works.perform(
            SYSTEM,
            self.bank,
            lambda work: devices.admit(
                work, self.bank, self.holder.id, unbase64url(self.key.public), "branch"
            ),
        )
        self.device_id = device.id
        return self

    async def enrol_totp(self) -> str:
        """An active authenticator; answers its secret."""

        async def act(work: Work) -> str:
            made = await otp.enrol(work, self.vault, [self.holder.id])
            await otp.activate(work, self.vault, [self.holder.id])
            return made[self.holder.id].reveal()

        return await self.works.perform(SYSTEM, self.bank, act)

    def totp(self, secret: str) -> str:
        return code_at(secret, self.works.clock.now())

    async def prepare(
        self, kind: IntentKind, fields: Any = None, *, cooling: bool = False
    ) -> dict[str, Any]:
        asked = Asked(
            holder_id=self.holder.id,
            device_id=self.device_id,
            bank=self.bank,
            language="en",
            fields=fields or Gift(),
            cooling=cooling,
        )
        outcome = await self.teller.ask(prepare_lane(kind), self.bank, asked)
        assert isinstance(outcome, Done)
        return outcome.answer

    def signature(self, shown: dict[str, Any]) -> bytes:
        canonical = canonical_of(shown, str(self.holder.id), str(self.device_id))
        return unbase64url(self.key.sign(canonical))

    def tried(
        self,
        shown: dict[str, Any],
        *,
        code: str | None = None,
        gate: Gate = Gate.NOT_ASKED,
        signature: bytes | None = None,
    ) -> Authorising:
        return Authorising(
            intent_id=IntentId(UUID(shown["id"])),
            holder_id=self.holder.id,
            device_id=self.device_id,
            signature=self.signature(shown) if signature is None else signature,
            code=None if code is None else Secret(code),
            gate=gate,
        )

    async def authorise(self, kind: IntentKind, shown: dict[str, Any], **factors: Any) -> Outcome:
        lane = authorise_lane(kind, self.vault)
        return await self.teller.ask(lane, self.bank, self.tried(shown, **factors))

    async def ask_code(self, shown: dict[str, Any]) -> str:
        """Have a code made for the intent, and read it as its message would carry it."""
        assert self.throttle is not None
        intent_id = IntentId(UUID(shown["id"]))
        subject = await reading.subject_of(self.teller, self.bank, intent_id, self.device_id, "en")
        await challenges.Asking(self.teller, self.vault, self.throttle).ask(self.actor, subject)

        async def read(work: Work) -> str:
            row = await work.row(
                "select id, key_sealed, tx_hash from otp_challenges"
                " where intent_id = $1 and state = 'OPEN'",
                intent_id,
            )
            assert row is not None
            key = await self.vault.unseal(
                work, row["key_sealed"], "otp_challenges", "key_sealed", row["id"]
            )
            return challenges.code_over(key.reveal(), row["tx_hash"])

        return await self.works.read(SYSTEM, self.bank, read)

    async def with_code(self, kind: IntentKind, shown: dict[str, Any], code: str) -> Outcome:
        """Through the gate, then authorised: as the door does it."""
        assert self.throttle is not None
        lane = authorise_lane(kind, self.vault)
        tried = self.tried(shown, code=code)
        return await authorise(self.teller, self.vault, self.throttle, lane, self.actor, tried)


def wrong(code: str) -> str:
    """Another code of the same length."""
    return str((int(code[0]) + 1) % 10) + code[1:]
