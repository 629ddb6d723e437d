"""What a network does to messages: lost, twice, out of order, late (security facts, E4).

A schedule is one purchase's messages in any order, some of them twice. Whatever it is, the money is
right, the same message hears the same answer, and nothing is held when its time is over.
"""

import random

import pytest

from tests.wallet.authorisations.till import ACLEDA, SOON, Till
from wallet.authorisations.counter import LIFE
from wallet.authorisations.expiring import expire_due
from wallet.authorisations.messages import Kind, Message
from wallet.outcomes import GroupAnswer


def schedule(till: Till, chance: random.Random) -> list[Message]:
    """One purchase, as a bad network delivers it: most of its messages, some of them again."""
    late = chance.random() < 0.15
    deadline = till.clock.now() + (-SOON if late else SOON)
    single = chance.random() < 0.3
    kind = Kind.FINANCIAL if single else Kind.AUTHORIZATION
    amount = chance.randrange(1, 5_000)
    first = till.message(kind, amount, deadline=deadline)
    rest = []
    for _ in range(chance.randrange(0, 3)):
        rest.append(till.message(Kind.REVERSAL, of=first, key=first.key))
    if chance.random() < 0.3:
        rest.append(till.message(Kind.REVERSAL, chance.randrange(1, 5_000), of=first))
    if chance.random() < 0.4 and not single:
        rest.append(till.message(Kind.CLEARING, chance.randrange(1, 6_000), of=first))
    if chance.random() < 0.3:
        rest.append(till.message(Kind.RETURN, chance.randrange(1, 3_000), of=first))
    messages = [first, *rest]
    messages += [chance.choice(messages) for _ in range(chance.randrange(0, 3))]
    chance.shuffle(messages)
    return messages


async def run(till: Till, seed: int, schedules: int, at_once: int = 40) -> None:
    """So many schedules, mixed with one another; a seed replays them."""
    chance = random.Random(seed)
    await till.open(khr=2_000_000_000, usd=0)
    await till.lift_limits()
    heard: dict[tuple[str, bytes], GroupAnswer] = {}
    for _ in range(schedules // at_once):
        lines = [schedule(till, chance) for _ in range(at_once)]
        while any(lines):
            batch = [line.pop(0) for line in lines if line and chance.random() < 0.7]
            answers = await till.serve(batch)
            for message, answer in zip(batch, answers, strict=True):
                told = heard.setdefault((message.message_key, message.fingerprint), answer)
                assert answer == told, f"seed {seed}: {message}"
    till.clock.advance(LIFE)
    while await expire_due(till.works, till.network, ACLEDA):
        pass
    posted, held = await till.balance()
    assert held == 0, f"seed {seed}"
    assert posted >= 0
    await till.prove()


async def test_any_order_repeat_and_lateness_leaves_the_money_right(till: Till) -> None:
    await run(till, seed=20_260_112, schedules=400)


@pytest.mark.long
async def test_10_000_schedules_leave_the_money_right_and_nothing_held(till: Till) -> None:
    await run(till, seed=random.randrange(2**32), schedules=10_000, at_once=100)
