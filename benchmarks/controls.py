"""Controls: what deciding a purchase costs with six of them, without the database.

A group's sheets and counters are loaded once; then each purchase is decided and counted in turn,
which is all that runs between the authorisations' reads and writes. Measured beside a decision
without any control (the bank's limit sheet is asked in both). What is allowed is checked against
what the rules must allow.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from types import SimpleNamespace
from typing import Final
from uuid import UUID

from benchmarks.ground import ground
from wallet.controls import (
    Channels,
    Controls,
    ControlSheet,
    Countries,
    Hours,
    Mccs,
    Merchant,
    Purchase,
    Spend,
    open_controls,
    versions,
)
from wallet.controls.deciding import SetBy
from wallet.identifiers import BankId, CardId, HolderId, new_id
from wallet.limits import Channel, Window
from wallet.money import Currency, Money
from wallet.work import SYSTEM, Work

BANK: Final = BankId("ACLEDA")
GROUP: Final = 512
CARDS: Final = 128
SIX: Final = ControlSheet(
    spend=(
        Spend(window=Window.PAYMENT, currency=Currency.KHR, most_minor=500),
        Spend(window=Window.DAY, currency=Currency.KHR, most_minor=300, most_count=50),
    ),
    channels=Channels(deny=(Channel.ATM,)),
    countries=Countries(allow=("KH", "TH")),
    mccs=Mccs(deny=("7995", "6051", "5813-5814")),
    hours=(Hours(days=(1, 2, 3, 4, 5, 6, 7), begin="00:00", end="24:00"),),
)
SHOP: Final = Merchant(id="GROCER01", name="LUCKY", mcc="5411", country="KH", city="PHNOM PENH")


async def main(rounds: int = 20) -> None:
    """Print microseconds a decision, with no controls and with six a card."""
    async with ground() as base:
        for name, sheet in (("no controls", None), ("six controls", SIX)):
            cards = [(HolderId(new_id()), CardId(new_id())) for _ in range(CARDS)]
            if sheet is not None:
                await _set(base, [card for _, card in cards], sheet)
            per_decision = sorted([await _round(base, cards, sheet) for _ in range(rounds)])
            print(
                f"controls, {name} a card: {median(per_decision):.1f} us a decision and count "
                f"({per_decision[0]:.1f}-{per_decision[-1]:.1f}), groups of {GROUP}",
                flush=True,
            )


async def _set(base: SimpleNamespace, cards: Sequence[UUID], sheet: ControlSheet) -> None:
    async def act(work: Work) -> None:
        versions.add(
            work,
            [
                versions.NewVersion(
                    id=new_id(),
                    set_by=SetBy.CARD,
                    subject=card,
                    version=1,
                    sheet=sheet,
                    by="bench",
                    holder_id=HolderId(new_id()),
                    promoted_by="bench",
                )
                for card in cards
            ],
        )

    await base.works.perform(SYSTEM, BANK, act)


async def _round(
    base: SimpleNamespace, cards: Sequence[tuple[HolderId, CardId]], sheet: ControlSheet | None
) -> float:
    """Microseconds a decision over one group; nothing is written."""

    async def act(work: Work) -> float:
        purchases = [
            Purchase(
                id=new_id(),
                card_id=cards[place % CARDS][1],
                holder_id=cards[place % CARDS][0],
                amount=Money.khr(100),
                merchant=SHOP,
                channel=Channel.ONLINE,
                moment=work.now,
            )
            for place in range(GROUP)
        ]
        controls = await open_controls(work, purchases)
        begun = time.perf_counter()
        allowed = _decided(controls, purchases)
        took = time.perf_counter() - begun
        # four purchases of 100 a card: the day's 300 leave three
        if allowed != (GROUP if sheet is None else GROUP * 3 // 4):
            raise SystemExit(f"controls decided wrongly: {allowed} allowed")
        return took / timedelta(microseconds=GROUP).total_seconds()

    return float(await base.works.perform(SYSTEM, BANK, act))


def _decided(controls: Controls, purchases: Sequence[Purchase]) -> int:
    allowed = 0
    for purchase in purchases:
        if controls.decide(purchase) is None:
            controls.count(purchase)
            allowed += 1
    return allowed
