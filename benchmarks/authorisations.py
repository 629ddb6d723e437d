"""Purchases with cards: how long one takes at 500 a second, and decisions a second in groups.

Every card has six controls of its own (money and number a day, money a month, countries, kinds of
shop, channels, hours) beside the bank's limits; every purchase is a new message with a deadline,
held in the books, counted, written down and told to its holder. The decision is measured at the
desk, where a network's door hands it in: the switch's own codec is not in it.
"""

import asyncio
import gc
import random
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from benchmarks.ground import ground
from tests.world import people
from wallet.authorisations import proof
from wallet.authorisations.habits import StepUp
from wallet.authorisations.messages import Kind, Merchant, Message
from wallet.authorisations.serving import Desk, Network
from wallet.cards import adding
from wallet.cards.adding import NewCard
from wallet.cards.rules import Issuing
from wallet.cards.states import CardKind, Channel
from wallet.clock import SystemClock, day_of
from wallet.controls import (
    Channels,
    ControlSheet,
    Countries,
    Hours,
    Mccs,
    Spend,
)
from wallet.identifiers import BankId, CardId, new_id
from wallet.ledger.proof import CHECKS, prove
from wallet.limits import Channel as Where
from wallet.limits import Window
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import SYSTEM, Work
from wallet.writes import as_json

BANK: Final = BankId("ACLEDA")
CARDS: Final = 20_000
IN_FLIGHT: Final = 1_024
OFFERED: Final = 500
DEADLINE: Final = timedelta(seconds=5)

SHEET: Final = ControlSheet(
    spend=(
        Spend(window=Window.DAY, currency=Currency.KHR, most_minor=20_000_000, most_count=1_000),
        Spend(window=Window.MONTH, currency=Currency.KHR, most_minor=200_000_000),
    ),
    channels=Channels(allow=(Where.ONLINE, Where.POS)),
    countries=Countries(allow=("KH", "TH", "VN")),
    mccs=Mccs(deny=("7995", "6051")),
    hours=(Hours(days=(1, 2, 3, 4, 5, 6, 7), begin="00:00", end="24:00"),),
)
STEP_UP: Final = StepUp(many_in_hour=100_000)
"""All rules are asked; a card of the benchmark pays more often an hour than a person does."""

SHOPS: Final = [
    Merchant(id=f"KH{place:013d}", name=f"SHOP {place}", mcc="5411") for place in range(500)
]


async def main(seconds: float = 8.0, rounds: int = 3, cards: int = CARDS) -> None:
    """Print latencies at the offered rate, then decisions a second. Ends with the books proved."""
    async with ground() as base:
        with tempfile.TemporaryDirectory(prefix="smartid-bench-key-") as folder:
            vault = Vault(SoftwareKeyStore.open_or_create(Path(folder) / "master.key"))
            issuing = Issuing(vault=vault)
            card_ids = await _cards(base, issuing, cards)
            clock = SystemClock()
            teller = Teller(base.works)
            desk = Desk(teller, clock, Network(issuing=issuing, step_up=STEP_UP))
            till = _Till(clock, card_ids)
            await _flood(desk, till, 2.0)  # caches, plans
            gc.collect()
            gc.freeze()  # as a process of the API does at its start
            gc.set_threshold(50_000, 50, 100)
            await _offer(desk, till, 3 * seconds)  # one slow flush is not to be a hundredth of it
            figures = sorted([await _flood(desk, till, seconds) for _ in range(rounds)])
            print(
                f"authorisations: {figures[rounds // 2]:,.0f} decisions/s "
                f"({figures[0]:,.0f}-{figures[-1]:,.0f}), {IN_FLIGHT} in flight, "
                f"{cards:,} cards with 6 controls each",
                flush=True,
            )
            await teller.close()
        for finding in await prove(base.works, (*CHECKS, *proof.CHECKS)):
            if not finding.right:
                raise SystemExit(f"wrong: {finding.check}: {finding.difference}")
        print("books right after the run")


class _Till:
    """New purchases without end."""

    def __init__(self, clock: SystemClock, card_ids: list[CardId]) -> None:
        self._clock = clock
        self._card_ids = card_ids
        self._chance = random.Random(11)
        self._next = 0

    def message(self) -> Message:
        self._next += 1
        chance = self._chance
        return Message(
            kind=Kind.AUTHORIZATION,
            bank=BANK,
            key=f"CSS|ACLB|T{chance.randrange(10_000):05d}|{self._next:012d}",
            card_id=chance.choice(self._card_ids),
            money=Money.khr(chance.randrange(1_000, 20_000)),
            merchant=chance.choice(SHOPS),
            channel=Where.ONLINE,
            deadline=self._clock.now() + DEADLINE,
        )


async def _flood(desk: Desk, till: _Till, seconds: float) -> float:
    """As many as may be in flight, each after the other: decisions a second."""
    ends = time.perf_counter() + seconds
    decided = 0

    async def shop() -> None:
        nonlocal decided
        while time.perf_counter() < ends:
            _decided(await desk.ask(till.message()))
            decided += 1

    begun = time.perf_counter()
    await asyncio.gather(*(shop() for _ in range(IN_FLIGHT)))
    return decided / (time.perf_counter() - begun)


async def _offer(desk: Desk, till: _Till, seconds: float) -> None:
    """At a fixed rate, whatever the answers take: each is timed from when it was due."""
    took: list[float] = []

    async def one(due: float) -> None:
        _decided(await desk.ask(till.message()))
        took.append((time.perf_counter() - due) * 1_000)

    begun = time.perf_counter()
    asked: list[asyncio.Task[None]] = []
    for place in range(int(OFFERED * seconds)):
        due = begun + place / OFFERED
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        asked.append(asyncio.create_task(one(due)))
    await asyncio.gather(*asked)
    cut = statistics.quantiles(took, n=100)
    print(
        f"authorisations at {OFFERED}/s offered: p50 {cut[49]:.1f} ms, p90 {cut[89]:.1f} ms, "
        f"p99 {cut[98]:.1f} ms, longest {max(took):.1f} ms",
        flush=True,
    )


def _decided(outcome: Outcome) -> None:
    if isinstance(outcome, Declined):
        raise SystemExit(f"a purchase of the benchmark was declined: {outcome}")
    assert isinstance(outcome, Done)


async def _cards(base: SimpleNamespace, issuing: Issuing, count: int) -> list[CardId]:
    """Holders with money, a card each, and controls on every card."""
    made: list[CardId] = []
    for _ in range(0, count, 2_000):
        holders = await people(base.works, min(2_000, count), bank=BANK, khr=100_000_000)

        async def act(work: Work) -> list[CardId]:
            new = [
                NewCard(
                    id=CardId(new_id()),
                    holder_id=holder.id,
                    smart_id_id=holder.smart_id_id,
                    kind=CardKind.OPEN,
                    currency=Currency.KHR,
                    account_id=holder.khr,
                    label="",
                    expires_on=day_of(work.now).replace(day=28) + timedelta(days=400),
                    channel=Channel.APP,
                    daily_limit_minor=20_000_000,
                    uses_per_day=1_000,
                )
                for holder in holders  # noqa: B023 - awaited within its round
            ]
            await adding.add(work, issuing, new, "bench", [SYSTEM] * len(new))
            await work.execute(
                _SHEETS,
                BANK,
                [card.id for card in new],
                [card.holder_id for card in new],
                as_json(SHEET),
                work.now,
            )
            return [card.id for card in new]

        made += await base.works.perform(SYSTEM, BANK, act)
    await base.works.perform(SYSTEM, BANK, _no_count)
    return made


async def _no_count(work: Work) -> None:
    """The programme's thirty purchases a day and card would stop the benchmark, not the program."""
    body = {"rules": [{"window": "day", "currency": "KHR", "most_minor": 40_000_000}]}
    await work.execute(_LIMITS, new_id(), BANK, as_json(body), work.now - timedelta(days=1))


_SHEETS: Final = """
insert into control_sheets (id, bank, set_by, subject, holder_id, version, body, state, drafted_at,
                            drafted_by, promoted_at, promoted_by)
select gen_random_uuid(), $1, 'card', c.card_id, c.holder_id, 1, $4, 'LIVE', $5, 'holder', $5,
       'holder'
from unnest($2::uuid[], $3::uuid[]) as c (card_id, holder_id)
"""

_LIMITS: Final = """
insert into terms (id, bank, sort, body, proposed_at, proposed_by, effective_from, approved_at,
                   approved_by)
values ($1, $2, 'limits', $3::text::jsonb, $4, 'bench', $4, $4, 'bank')
"""

if __name__ == "__main__":
    asyncio.run(main(6.0, 1))
