"""A counter where tests ask for cards: holders with phones, an ATM, the room's own acts."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import ECKey

from tests import world
from tests.world import WorldHolder
from wallet import cards
from wallet.access import devices
from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import atm, claims, control, rows, undo
from wallet.cards.atm import AtmCardRequest
from wallet.cards.atm_rows import AtmKey
from wallet.cards.rules import CardRules, Issuing
from wallet.cards.states import Card, Freezer
from wallet.clock import TurnedClock, day_of
from wallet.identifiers import BankId, CardId, DeviceId, IntentId, Secret, new_id
from wallet.money import Currency
from wallet.outcomes import Done, GroupAnswer, Outcome, Refused
from wallet.vault import Vault
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works

ATM = Actor(kind=ActorKind.ATM_HOST, id="ACLEDA:ATM00017", bank=BankId("ACLEDA"))
PLACE = "ACLEDA ATM, Phsar Thmei"


class Person(msgspec.Struct, frozen=True):
    """A holder with the private half of the paired phone's key."""

    holder: WorldHolder
    device_id: DeviceId
    key: Any

    @property
    def point(self) -> bytes:
        public: bytes = self.key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        return public


class Counter:
    """Acts as the intents room and the ATM door would, one Work each."""

    def __init__(self, works: Works, vault: Vault, clock: TurnedClock, rules: CardRules) -> None:
        self.works = works
        self.vault = vault
        self.clock = clock
        self.issuing = Issuing(vault=vault, rules=rules)
        self.kinds: Mapping[str, IntentKind] = {
            kind.name: kind for kind in cards.kinds(self.issuing)
        }
        self._stan = itertools.count(1)

    async def person(self, *, paired: bool = True, **given: Any) -> Person:
        holder = await world.holder(self.works, vault=self.vault, **given)
        key = ec.generate_private_key(ec.SECP256R1())
        person = Person(holder, DeviceId(new_id()), key)
        if not paired:
            return person
        device = await self.works.perform(
            SYSTEM,
            holder.bank,
            lambda work: devices.admit(work, holder.bank, holder.id, person.point, "atm"),
        )
        return Person(holder, device.id, key)

    # intents

    async def prepare_all(
        self, kind: str, asking: Sequence[tuple[Person, dict[str, Any]]]
    ) -> list[Prepared | Refused]:
        room = self.kinds[kind]
        asked = [
            Asked(
                holder_id=person.holder.id,
                device_id=person.device_id,
                bank=person.holder.bank,
                language="km",
                fields=msgspec.convert(fields, room.fields),
            )
            for person, fields in asking
        ]

        async def act(work: Work) -> list[Prepared | Refused]:
            return list(await room.prepare(work, asked))

        return await self.works.perform(SYSTEM, asking[0][0].holder.bank, act)

    async def prepare(self, kind: str, person: Person, /, **fields: Any) -> Prepared:
        """Raises what the room refuses."""
        answer = (await self.prepare_all(kind, [(person, fields)]))[0]
        if isinstance(answer, Refused):
            raise answer
        return answer

    async def authorise_all(
        self, kind: str, signed: Sequence[tuple[Person, Prepared]]
    ) -> list[GroupAnswer]:
        async def act(work: Work) -> list[GroupAnswer]:
            consumed = [
                Consumed(
                    intent_id=IntentId(new_id()),
                    holder_id=person.holder.id,
                    device_id=person.device_id,
                    device_key=person.point,
                    bank=person.holder.bank,
                    money=prepared.money,
                    payee=prepared.payee,
                    plan=msgspec.json.decode(msgspec.json.encode(prepared.plan)),
                    now=work.now,
                )
                for person, prepared in signed
            ]
            return list(await self.kinds[kind].authorise(work, consumed))

        return await self.works.perform(SYSTEM, signed[0][0].holder.bank, act)

    async def authorise(self, kind: str, person: Person, prepared: Prepared) -> Outcome:
        answer = (await self.authorise_all(kind, [(person, prepared)]))[0]
        if isinstance(answer, Refused):
            raise answer
        return answer

    async def do(self, kind: str, person: Person, /, **fields: Any) -> Outcome:
        return await self.authorise(kind, person, await self.prepare(kind, person, **fields))

    async def card(self, person: Person, currency: str = "USD", **fields: Any) -> CardId:
        """A card made in the app, ACTIVE."""
        outcome = await self.do("card.create", person, currency=currency, **fields)
        assert isinstance(outcome, Done), outcome
        return CardId(msgspec.convert(outcome.answer["card"]["id"], CardId))

    # the ATM

    def request(self, person: Person, **given: Any) -> AtmCardRequest:
        stan = given.pop("stan", None) or f"{next(self._stan):06d}"
        key = AtmKey(
            acquirer=given.pop("acquirer", BankId("ACLEDA")),
            terminal="ATM00017",
            rrn=f"601209{stan}",
            stan=stan,
            local_date=given.pop("local_date", day_of(self.clock.now())),
        )
        number = given.pop("number", person.holder.smart_id_number)
        defaults: dict[str, Any] = {
            "idempotency_key": f"atm-{stan}",
            "terminal_name": PLACE,
            "pin_verified": True,
            "currency": Currency.KHR,
        }
        return AtmCardRequest(key=key, number=Secret(number), **{**defaults, **given})

    async def at_atm(self, request: AtmCardRequest, bank: str = "ACLEDA") -> Outcome:
        async def act(work: Work) -> Outcome:
            return await atm.create_at_atm(work, self.issuing, request)

        return await self.works.perform(ATM, BankId(bank), act)

    async def reverse(self, request: AtmCardRequest, cause: str = "printer_failed") -> Outcome:
        async def act(work: Work) -> Outcome:
            return await undo.reverse(work, request.key, cause)

        return await self.works.perform(ATM, BankId("ACLEDA"), act)

    async def lapse(self, card_id: CardId) -> bool:
        return await self.works.perform(
            SYSTEM, BankId("ACLEDA"), lambda work: undo.lapse(work, card_id)
        )

    async def claim(self, person: Person, card_id: CardId, **given: Any) -> Outcome:
        slip = claims.slip_for(self.vault, card_id, self.issuing.rules.claim_link)
        fields = {"reference": slip.reference, "number_match": slip.match, **given}
        return await self.do("card.claim", person, **fields)

    # looking

    async def look(self, card_id: CardId) -> Card:
        async def query(work: Work) -> Card:
            card = await rows.by_id(work, card_id)
            assert card is not None
            return card

        return await self.works.read(SYSTEM, None, query)

    async def state(self, card_id: CardId) -> str:
        return (await self.look(card_id)).standing(self.clock.now()).value

    async def all_cards(self, person: Person) -> list[Card]:
        return await self.works.read(
            SYSTEM, None, lambda work: rows.of_holder(work, person.holder.id)
        )

    async def live(self, person: Person) -> list[Card]:
        return [card for card in await self.all_cards(person) if card.live(self.clock.now())]

    async def freeze(
        self, person: Person, card_id: CardId, by: Freezer = Freezer.HOLDER
    ) -> Outcome:
        async def act(work: Work) -> Outcome:
            return await control.freeze_card(work, card_id, holder_id=person.holder.id, by=by)

        return await self.works.perform(SYSTEM, person.holder.bank, act)

    async def freeze_smart_id(self, person: Person) -> Outcome:
        return await self.works.perform(
            SYSTEM,
            person.holder.bank,
            lambda work: control.freeze_smart_id(work, person.holder.id),
        )

    def opened(self, person: Person, outcome: Outcome) -> dict[str, Any]:
        """What the phone reads in a reveal."""
        assert isinstance(outcome, Done), outcome
        assert outcome.secret is not None
        private = ECKey.import_key(person.key)
        token = jwe.decrypt_compact(
            outcome.secret["jwe"], private, algorithms=["ECDH-ES", "A256GCM"]
        )
        assert token.plaintext is not None
        shown: dict[str, Any] = msgspec.json.decode(token.plaintext)
        return shown


def card_id_of(outcome: Outcome) -> CardId:
    assert isinstance(outcome, Done), outcome
    return msgspec.convert(outcome.answer["card_id"], CardId)
