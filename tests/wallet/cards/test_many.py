"""220,000 cards through the real act, in groups: no number twice, no check value cut short."""

import os

import msgspec
import pytest

from tests import world
from tests.wallet.cards.counter import Counter
from tests.world import WorldHolder
from wallet.access.intents import Asked, Consumed, Prepared
from wallet.cards import check_values, numbers
from wallet.cards.check_values import CVV2
from wallet.identifiers import DeviceId, IntentId, Secret, luhn_valid, new_id
from wallet.outcomes import Done
from wallet.work import SYSTEM, Work

GROUP = 512
FREE = 3


async def make(counter: Counter, holders: list[WorldHolder]) -> int:
    """A card for each, prepared and authorised as the lanes do it; answers how many."""
    kind = counter.kinds["card.create"]
    device = DeviceId(new_id())
    fields = msgspec.convert({"currency": "USD"}, kind.fields)
    asked = [
        Asked(holder_id=one.id, device_id=device, bank=one.bank, language="km", fields=fields)
        for one in holders
    ]

    async def act(work: Work) -> int:
        prepared = await kind.prepare(work, asked)
        consumed = [
            Consumed(
                intent_id=IntentId(new_id()),
                holder_id=one.holder_id,
                device_id=device,
                device_key=b"",
                bank=one.bank,
                money=plan.money,
                payee="",
                plan=plan.plan,
                now=work.now,
            )
            for one, plan in zip(asked, prepared, strict=True)
            if isinstance(plan, Prepared)
        ]
        answers = await kind.authorise(work, consumed)
        return sum(isinstance(answer, Done) for answer in answers)

    return await counter.works.perform(SYSTEM, holders[0].bank, act)


async def numbers_of(counter: Counter) -> list[str]:
    """Every number there is, unsealed."""

    async def read(work: Work) -> list[str]:
        found = await work.rows("select id, number_sealed from virtual_cards")
        unsealer = await counter.vault.unsealer(work, [row["number_sealed"] for row in found])
        return [
            unsealer.unseal(row["number_sealed"], "virtual_cards", "number_sealed", row["id"])
            .reveal()
            .decode()
            for row in found
        ]

    return await counter.works.read(SYSTEM, None, read)


async def made_and_looked_at(counter: Counter, total: int) -> None:
    holders: list[WorldHolder] = []
    while len(holders) * FREE < total:
        some = min(5_000, -(-total // FREE) - len(holders))
        holders += await world.people(counter.works, some, vault=counter.vault)
    waiting = [one for _ in range(FREE) for one in holders][:total]
    made = 0
    for start in range(0, total, GROUP):
        made += await make(counter, waiting[start : start + GROUP])
    assert made == total
    found = await numbers_of(counter)
    assert len(found) == len(set(found)) == total
    assert all(len(number) == 16 and luhn_valid(number) for number in found)
    key = Secret(os.urandom(16))
    moment, until = counter.clock.now(), counter.clock.now().date()
    bank = holders[0].bank
    zeros = 0
    for number in found:
        secret = Secret(number)
        fixed = check_values.cvv(key, secret, "2801", CVV2).reveal()
        moving = numbers.cvv(counter.issuing, bank, secret, until, moment).reveal()
        for value in (fixed, moving):
            assert len(value) == 3, "psec makes about a dozen short ones of 220,000"
            assert value.isdigit()
            zeros += value.startswith("0")
    # A leading zero is a digit like any other: one value in ten has it.
    assert 0.05 * total < zeros < 0.4 * total


async def test_a_few_hundred_cards_have_numbers_of_their_own(counter: Counter) -> None:
    await made_and_looked_at(counter, 600)


@pytest.mark.long
async def test_220_000_cards_have_numbers_of_their_own(counter: Counter) -> None:
    await made_and_looked_at(counter, 220_000)
