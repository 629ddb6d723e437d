"""Virtual cards: made and shown, as the intents' lanes do it, in groups.

What is measured is the room's whole act: a card prepared (Smart ID, quota, fee, expiry, sentence)
and authorised (Smart IDs locked, number drawn, sealed and indexed, history, audit, event, commit);
a reveal prepared and authorised (counted, unsealed, check value reckoned, sealed to the phone's key
as a JWE, history, audit, event, commit). The holder's signature and code, which are the same for
every kind of intent, are measured with the payments.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.ground import ground
from tests.world import WorldHolder, people
from wallet import cards
from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards.rules import CardRules, Issuing
from wallet.identifiers import BankId, DeviceId, IntentId, new_id
from wallet.outcomes import Done, GroupAnswer, Refused
from wallet.vault import SoftwareKeyStore, Vault
from wallet.work import SYSTEM, Work

BANK: Final = BankId("ACLEDA")
GROUP: Final = 128
SIDE_BY_SIDE: Final = 2
FREE: Final = 3
"""Cards a holder gets without a fee."""


async def main(seconds: float = 8.0, rounds: int = 3) -> None:
    """Print cards made a second and reveals a second: the median of the rounds, and the spread."""
    async with ground() as base:
        vault = Vault(SoftwareKeyStore(bytes(range(32))))
        rules = CardRules(reveals_per_hour=10**9)
        counter = _Counter(
            base, {k.name: k for k in cards.kinds(Issuing(vault=vault, rules=rules))}
        )
        made, shown = [], []
        for _ in range(rounds):
            holders = await people(base.works, 4_000, vault=vault)
            rate, card_ids = await counter.make(holders, seconds)
            made.append(rate)
            shown.append(await counter.show(card_ids, seconds))
        for name, figures in (("made", made), ("shown", shown)):
            figures.sort()
            print(
                f"cards {name}, groups of {GROUP}: {figures[rounds // 2]:,.0f}/s "
                f"({figures[0]:,.0f}-{figures[-1]:,.0f})",
                flush=True,
            )


class _Counter:
    """Does to a group what the lanes of an intent kind do."""

    def __init__(self, base: SimpleNamespace, kinds: dict[str, IntentKind]) -> None:
        self._works = base.works
        self._kinds = kinds
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        self._point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    async def make(
        self, holders: Sequence[WorldHolder], seconds: float
    ) -> tuple[float, list[tuple[WorldHolder, str]]]:
        """Cards until the time or the people are over."""
        wish = {"currency": "USD", "kind": "open"}
        waiting = [(one, wish) for _ in range(FREE) for one in holders]
        groups = iter([waiting[at : at + GROUP] for at in range(0, len(waiting), GROUP)])
        made: list[tuple[WorldHolder, str]] = []
        end = time.perf_counter() + seconds

        async def worker() -> None:
            for group in groups:
                answers = await self._do("card.create", group)
                for (holder, _), answer in zip(group, answers, strict=True):
                    made.append((holder, answer.answer["card"]["id"]))
                if time.perf_counter() > end:
                    return

        took = await _timed(worker)
        return len(made) / took, made

    async def show(self, card_ids: Sequence[tuple[WorldHolder, str]], seconds: float) -> float:
        """Reveals, one a card and round, until the time is over."""
        groups = [
            [(holder, {"card_id": card_id}) for holder, card_id in card_ids[at : at + GROUP]]
            for at in range(0, len(card_ids) - GROUP + 1, GROUP)
        ]
        shown = 0
        turn = iter(range(10**9))
        end = time.perf_counter() + seconds

        async def worker() -> None:
            nonlocal shown
            while time.perf_counter() < end:
                answers = await self._do("card.reveal", groups[next(turn) % len(groups)])
                shown += sum(answer.secret is not None for answer in answers)

        took = await _timed(worker)
        return shown / took

    async def _do(
        self, kind: str, group: Sequence[tuple[WorldHolder, dict[str, Any]]]
    ) -> list[Done]:
        room = self._kinds[kind]
        device = DeviceId(new_id())
        asked = [
            Asked(
                holder_id=holder.id,
                device_id=device,
                bank=BANK,
                language="km",
                fields=msgspec.convert(fields, room.fields),
            )
            for holder, fields in group
        ]

        async def prepare(work: Work) -> Sequence[Prepared | Refused]:
            return await room.prepare(work, asked)

        plans = await self._works.perform(SYSTEM, BANK, prepare)

        async def authorise(work: Work) -> Sequence[GroupAnswer]:
            consumed = [
                Consumed(
                    intent_id=IntentId(new_id()),
                    holder_id=one.holder_id,
                    device_id=device,
                    device_key=self._point,
                    bank=BANK,
                    money=plan.money,
                    payee=plan.payee,
                    plan=msgspec.json.decode(msgspec.json.encode(plan.plan)),
                    now=work.now,
                )
                for one, plan in zip(asked, plans, strict=True)
            ]
            return await room.authorise(work, consumed)

        answers = await self._works.perform(SYSTEM, BANK, authorise)
        assert all(isinstance(answer, Done) for answer in answers), answers[0]
        return list(answers)


async def _timed(worker: Any) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(SIDE_BY_SIDE)))
    return timedelta(seconds=time.perf_counter() - start).total_seconds()
