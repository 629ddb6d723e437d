"""A process killed between the commit of its approvals and their answers: the shops heard nothing.

What is known of it afterwards is what the network says: that it had no answer, the same request
again (in time or too late), a reversal of a shop that had heard, or nothing. By that each card is
live again or rightly spent, and limits and habits count exactly what was heard of.
"""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from tests.crash.dying_desk import Asked
from tests.wallet.authorisations.till import SHOP, SOON, Till
from wallet.authorisations.counter import LIFE
from wallet.authorisations.expiring import expire_due
from wallet.authorisations.messages import Kind, Message
from wallet.clock import TurnedClock
from wallet.identifiers import CardId
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def till(works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Till:
    return await Till(works, teller, vault, clock).open(khr=1_000_000, kind="single_use")


async def killed(till: Till, messages: list[Message], database_url: str, key_file: Path) -> None:
    """Another process approves them all and dies before it answers."""
    asked = Asked(database_url, str(key_file), till.clock.now(), messages)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.crash.dying_desk",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate(msgspec.json.encode(asked))
    assert process.returncode == -signal.SIGKILL, told.decode()


async def test_an_answer_that_died_with_its_process_leaves_what_was_heard_of(
    till: Till, database_url: str, tmp_path: Path
) -> None:
    kinds = ["single_use"] * 3 + ["merchant_locked"]
    cards = [till.card_id, *[await till.cards.card(till.person, "KHR", kind=k) for k in kinds]]
    had, _ = await till.balance()
    deadline = till.clock.now() + SOON
    asked = [
        till.message(Kind.AUTHORIZATION, 10_000, card_id=card, deadline=deadline) for card in cards
    ]
    silent, late, heard, in_time, locked = asked
    await killed(till, asked, database_url, tmp_path / "master.key")
    assert await till.balance() == (had, 50_000)
    assert await spent(till, cards) == [True, True, True, True, False]

    # the same request again, while its answer is still waited for: the stored yes, rightly spent
    assert await till.said(in_time) == "ok"
    # the network had no answer
    for message in (silent, locked):
        await till.done(till.message(Kind.REVERSAL, of=message, key=message.key, unanswered=True))
    # a shop that had heard took its purchase back
    await till.done(till.message(Kind.REVERSAL, of=heard))
    # the same request again, too late
    till.slow_by(SOON)
    assert await till.said(late) == "answer_too_late"
    till.slow_by(SOON * 0)

    assert await spent(till, cards) == [False, False, True, True, False]
    assert await till.balance() == (had, 10_000)
    assert await habit(till) == (2, 20_000)
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000, card_id=cards[2])) == (
        "card_spent"
    )
    # live again: each pays once more, the locked one another shop, and no limit knows of before
    answer = await till.done(till.message(Kind.AUTHORIZATION, 1_000, card_id=cards[0]))
    assert answer["limit_left_count"] == 30 - 1  # a day, of one card
    await till.done(till.message(Kind.AUTHORIZATION, 1_000, card_id=cards[1]))
    await till.done(till.message(Kind.AUTHORIZATION, 1_000, card_id=cards[4], merchant=SHOP))
    await till.prove()


async def test_where_the_network_says_nothing_more_the_money_comes_back_at_its_end(
    till: Till, database_url: str, tmp_path: Path
) -> None:
    """Nobody can know whether the shop heard: the card stays spent, the limit gets it back."""
    deadline = till.clock.now() + SOON
    lost = till.message(Kind.AUTHORIZATION, 10_000, deadline=deadline)
    await killed(till, [lost], database_url, tmp_path / "master.key")
    till.clock.advance(LIFE)
    while await expire_due(till.works, till.network, till.person.holder.bank):
        pass
    assert await till.balance() == (1_000_000, 0)
    assert await spent(till, [till.card_id]) == [True]
    # until the network does say something
    await till.done(till.message(Kind.REVERSAL, of=lost, key=lost.key, unanswered=True))
    assert await spent(till, [till.card_id]) == [False]
    assert await habit(till) == (0, 0)
    await till.prove()


async def spent(till: Till, cards: list[CardId]) -> list[bool]:
    return [(await till.cards.look(card)).spent_by is not None for card in cards]


async def habit(till: Till) -> tuple[int, int]:
    async def read(work: Work) -> tuple[int, int]:
        row = await work.row("select purchases, spent_minor from purchase_habits")
        assert row is not None
        return row["purchases"], row["spent_minor"]

    return await till.works.read(SYSTEM, till.person.holder.bank, read)
