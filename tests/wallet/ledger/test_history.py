"""What callers were told is what one after the other would have been told: strict serialisability.

Each transfer's answer carries the balance after it. So for every account the answers, in the order
of the journal, must be a running sum; and what ended before another began must stand before it.
Both are checked over what many callers in two processes saw; histories that were tampered with must
be found out.
"""

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from tests.wallet.ledger.books import assert_books_right, new_account
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")
START = 1_000


@dataclass(frozen=True)
class Seen:
    """One transfer as its caller saw it: when it was asked and answered, and what was left."""

    id: TransferId
    debit: AccountId
    credit: AccountId
    minor: int
    asked: float
    answered: float
    left: int


@pytest.fixture
async def elsewhere(database_url: str, clock: TurnedClock) -> AsyncIterator[Works]:
    opened = await Database.connect(database_url, largest=12, statement_timeout_s=30)
    yield Works(opened, clock)
    await opened.close()


async def _live(
    worlds: list[Works], accounts: list[AccountId], callers: int, each: int
) -> list[Seen]:
    """Callers move money to and fro between a few accounts, at once."""
    loop = asyncio.get_running_loop()
    seen: list[Seen] = []

    async def caller(place: int) -> None:
        chance = random.Random(place)
        for _ in range(each):
            debit, credit = chance.sample(accounts, 2)
            posting = Posting(
                id=TransferId(new_id()),
                debit=debit,
                credit=credit,
                money=Money.khr(chance.randint(1, 400)),
                kind=TransferKind.TRANSFER,
            )
            asked = loop.time()
            answer = await _post(worlds[place % len(worlds)], posting)
            if isinstance(answer, Posted):
                assert answer.available is not None
                left = answer.available.minor
                minor = posting.money.minor
                told = Seen(posting.id, debit, credit, minor, asked, loop.time(), left)
                seen.append(told)

    await asyncio.gather(*(caller(place) for place in range(callers)))
    return seen


async def _post(works: Works, posting: Posting) -> Posted | Declined:
    async def act(work: Work) -> Posted | Declined:
        book = await open_book(work, accounts=[posting.debit, posting.credit], ids=[posting.id])
        answer = book.post(posting)
        await book.write()
        return answer

    return await works.perform(SYSTEM, BANK, act)


def faults(seen: list[Seen], order: dict[TransferId, int]) -> list[str]:
    """What no one-after-the-other could have told."""
    of_account: dict[AccountId, list[Seen]] = defaultdict(list)
    for one in sorted(seen, key=lambda one: order[one.id]):
        of_account[one.debit].append(one)
        of_account[one.credit].append(one)
    found = []
    for account, history in of_account.items():
        balance = START
        for one in history:
            balance += one.minor if one.credit == account else -one.minor
            if balance < 0:
                found.append(f"{account} was below zero after {one.id}")
            if one.debit == account and one.left != balance:
                found.append(f"{one.id} left {balance} and was told {one.left}")
        # In the journal's order nobody may have been asked after a later one was answered.
        earliest = float("inf")
        for one in reversed(history):
            if one.asked > earliest:
                found.append(f"{one.id} was asked when one after it was answered")
            earliest = min(earliest, one.answered)
    return found


async def _told_and_order(
    works: Works, elsewhere: Works, callers: int, each: int
) -> tuple[list[Seen], dict[TransferId, int]]:
    accounts = [await new_account(works, BANK, Currency.KHR, START) for _ in range(6)]
    seen = await _live([works, elsewhere], accounts, callers, each)

    async def read(work: Work) -> dict[TransferId, int]:
        return {row["id"]: row["seq"] for row in await work.rows("select id, seq from transfers")}

    order = await works.read(SYSTEM, BANK, read)
    await assert_books_right(works)
    return seen, order


async def test_d3_every_answer_fits_one_order_that_respects_time(
    works: Works, elsewhere: Works
) -> None:
    """D3, D1: no lost update, no stale read, no account below zero, over two processes."""
    seen, order = await _told_and_order(works, elsewhere, callers=16, each=25)
    assert len(seen) > 200
    assert faults(seen, order) == []
    _assert_planted_faults_are_found(seen, order)


@pytest.mark.long
async def test_d3_fifty_thousand_answers_fit_one_order(works: Works, elsewhere: Works) -> None:
    seen, order = await _told_and_order(works, elsewhere, callers=20, each=2_500)
    assert faults(seen, order) == []


def _assert_planted_faults_are_found(seen: list[Seen], order: dict[TransferId, int]) -> None:
    one = seen[len(seen) // 2]
    told_wrong = [replace(s, left=s.left + 1) if s is one else s for s in seen]
    assert faults(told_wrong, order)
    lost = [s for s in seen if s is not one]
    assert faults(lost, order), "an update that was lost would not be noticed"
    pairs = itertools.combinations(sorted(seen, key=lambda s: order[s.id]), 2)
    first, second = next(
        (a, b)
        for a, b in pairs
        if a.debit == b.debit and a.answered < b.asked and a.minor != b.minor
    )
    exchanged = {**order, first.id: order[second.id], second.id: order[first.id]}
    assert faults(seen, exchanged), "another order would not be noticed"
