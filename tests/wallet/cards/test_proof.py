"""The proof of the cards room: right after an ordinary life, and it names what was altered."""

import pytest

from tests.wallet.cards.counter import Counter
from tests.wallet.cards.test_purchasing import CAFE, at, buy
from wallet.cards.proof import CHECKS
from wallet.ledger.proof import prove
from wallet.outcomes import Done
from wallet.work import SYSTEM, Work


async def differences(counter: Counter) -> list[str]:
    return [one.check for one in await prove(counter.works, CHECKS) if not one.right]


async def test_an_ordinary_life_is_right(counter: Counter) -> None:
    person = await counter.person()
    spent = await counter.card(person, kind="single_use")
    locked = await counter.card(person, kind="merchant_locked")
    await buy(counter, spent, at(CAFE))
    await buy(counter, locked, at(CAFE))
    assert isinstance(await counter.do("card.replace", person, card_id=str(locked)), Done)
    assert await differences(counter) == []


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("update virtual_cards set replaced_by = null where replaced_by is not null", 0),
        ("update virtual_cards set expires_on = '2099-12-31' where state = 'ACTIVE'", 1),
        ("update virtual_cards set state = 'CLOSED', substatus = 'OTHER' where state='ACTIVE'", 2),
    ],
)
async def test_a_planted_fault_is_named(counter: Counter, fault: str, check: int) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await counter.do("card.replace", person, card_id=str(card_id))

    async def plant(work: Work) -> None:
        await work.execute(fault)

    await counter.works.perform(SYSTEM, person.holder.bank, plant)
    assert CHECKS[check].name in await differences(counter)
