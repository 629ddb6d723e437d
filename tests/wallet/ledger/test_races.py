"""Real connections racing for the same money: exactly what is there is spent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest

from tests.wallet.ledger.books import assert_books_right, new_account
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import (
    Balancing,
    Book,
    Posted,
    Posting,
    Reversal,
    TransferKind,
    open_book,
)
from wallet.ledger.statement import balances
from wallet.limits.expiring import release_due
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason, Refused
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


def _posting(
    debit: AccountId, credit: AccountId, riel: int, balancing: Balancing | None = None
) -> Posting:
    return Posting(
        id=TransferId(new_id()),
        debit=debit,
        credit=credit,
        money=Money.khr(riel),
        kind=TransferKind.TRANSFER,
        balancing=balancing,
    )


async def _in_book(
    works: Works,
    decide: Callable[[Book], Posted | Declined],
    *,
    hold: Posting | None = None,
    accounts: Sequence[AccountId] = (),
    ids: Sequence[TransferId] = (),
    holds: Sequence[TransferId] = (),
    originals: Sequence[TransferId] = (),
    exact: Sequence[AccountId] = (),
) -> Posted | Declined:
    """One decision in a Work of its own; `hold` names its two accounts."""

    async def act(work: Work) -> Posted | Declined:
        book = await open_book(
            work,
            accounts=[*accounts, *([hold.debit, hold.credit] if hold else [])],
            ids=ids,
            holds=holds,
            originals=originals,
            exact=exact,
        )
        answer = decide(book)
        await book.write()
        return answer

    return await works.perform(SYSTEM, BANK, act)


async def _asked_again(
    ask: Callable[[], Awaitable[Posted | Declined]],
) -> Posted | Declined:
    """As every caller does with "in flight"."""
    while True:
        try:
            return await ask()
        except Refused as refused:
            if refused.reason is not Reason.IN_FLIGHT:
                raise


async def _post(works: Works, posting: Posting) -> Posted | Declined:
    async def act(work: Work) -> Posted | Declined:
        book = await open_book(work, accounts=[posting.debit, posting.credit], ids=[posting.id])
        answer = book.post(posting)
        await book.write()
        return answer

    return await works.perform(SYSTEM, BANK, act)


async def test_jepsen_ledger_four_times_the_balance_is_spent_exactly_once(works: Works) -> None:
    purse = await new_account(works, BANK, Currency.KHR, 50)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    answers = await asyncio.gather(*(_post(works, _posting(purse, shop, 1)) for _ in range(200)))
    assert sum(isinstance(answer, Posted) for answer in answers) == 50
    await assert_books_right(works)


async def test_crossing_groups_do_not_deadlock(works: Works) -> None:
    """D9. Groups of payments to and fro between the same wallets, each run exactly once."""
    accounts = [await new_account(works, BANK, Currency.KHR, 1000) for _ in range(30)]
    runs = 0

    async def group(work: Work, shift: int) -> list[Posted | Declined]:
        nonlocal runs
        runs += 1
        book = await open_book(work, accounts=accounts)
        pairs = [(accounts[i], accounts[(i * 7 + 1 + shift) % 30]) for i in range(30)]
        answers = [book.post(_posting(one, two, 1)) for one, two in pairs if one != two]
        await book.write()
        return answers

    asked = 24
    answers = await asyncio.gather(
        *(works.perform(SYSTEM, BANK, partial(group, shift=shift)) for shift in range(asked))
    )
    assert all(isinstance(answer, Posted) for group_ in answers for answer in group_)
    assert runs == asked, "a group had to be run again"
    await assert_books_right(works)


async def test_one_id_posted_by_many_is_one_transfer(works: Works) -> None:
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    posting = _posting(purse, shop, 10)
    answers = await asyncio.gather(*(_post(works, posting) for _ in range(20)))
    assert [isinstance(answer, Posted) for answer in answers] == [True] * 20
    assert sum(isinstance(a, Posted) and not a.repeated for a in answers) == 1
    await assert_books_right(works)


async def test_formance_1601_one_id_between_house_accounts_is_one_transfer(works: Works) -> None:
    """Nothing is locked while deciding here: the key itself keeps the second one out."""
    till = await new_account(works, BANK, Currency.KHR, floor=False)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    posting = _posting(till, shop, 10)
    answers = await asyncio.gather(
        *(_post(works, posting) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(a, Posted) and not a.repeated for a in answers) == 1
    others = [a for a in answers if not isinstance(a, Posted)]
    assert all(isinstance(a, Refused) and a.reason is Reason.IN_FLIGHT for a in others)
    again = await _post(works, posting)
    assert isinstance(again, Posted)
    assert again.repeated
    await assert_books_right(works)


async def _whole_balance_rounds(works: Works, rounds: int) -> None:
    """Each round four connections want the whole balance at once; one gets it."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    successes = 0
    for _ in range(rounds):
        answers = await asyncio.gather(
            *(_post(works, _posting(purse, shop, 100)) for _ in range(4))
        )
        successes += sum(isinstance(answer, Posted) for answer in answers)
        assert isinstance(await _post(works, _posting(shop, purse, 100)), Posted)
    assert successes == rounds
    await assert_books_right(works)


async def test_four_times_the_whole_balance_at_once_is_spent_once(works: Works) -> None:
    """D2; ten thousand rounds in the long form."""
    await _whole_balance_rounds(works, 100)


@pytest.mark.long
async def test_four_times_the_whole_balance_in_ten_thousand_rounds(works: Works) -> None:
    await _whole_balance_rounds(works, 10_000)


async def test_a_hold_between_house_accounts_is_captured_once(works: Works) -> None:
    """No account is locked while deciding; the open hold itself is."""
    till = await new_account(works, BANK, Currency.KHR, floor=False)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    for _ in range(5):
        hold = _posting(till, shop, 10)
        await _in_book(
            works, lambda book, hold=hold: book.hold(hold, timedelta(minutes=1)), hold=hold
        )
        answers = await asyncio.gather(
            *(
                _in_book(
                    works,
                    lambda book, hold=hold: book.capture(TransferId(new_id()), hold.id),
                    holds=[hold.id],
                )
                for _ in range(6)
            )
        )
        assert sum(isinstance(answer, Posted) for answer in answers) == 1
        told = {answer.reason for answer in answers if isinstance(answer, Declined)}
        assert told == {Reason.HOLD_ALREADY_CAPTURED}
    await assert_books_right(works)


@pytest.mark.parametrize("receiver_has_floor", [True, False])
async def test_open_bank_oss_528_a_double_reversal_credits_once(
    works: Works, receiver_has_floor: bool
) -> None:
    """P13, between a wallet and a shop and between two house accounts (nothing locked there)."""
    purse = await new_account(works, BANK, Currency.KHR, 100, floor=receiver_has_floor)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    for part, wanted in ((100, 1), (50, 2), (40, 2), (1, 8)):
        original = _posting(purse, shop, 100)
        await _post(works, original)

        async def give_back(part: int = part, original: Posting = original) -> Posted | Declined:
            reversal = Reversal(
                id=TransferId(new_id()), original_id=original.id, money=Money.khr(part)
            )
            return await _asked_again(
                lambda: _in_book(
                    works,
                    lambda book: book.reverse(reversal),
                    ids=[reversal.id],
                    originals=[original.id],
                )
            )

        answers = await asyncio.gather(*(give_back() for _ in range(8)))
        assert sum(isinstance(answer, Posted) for answer in answers) == wanted
        told = {answer.reason for answer in answers if isinstance(answer, Declined)}
        assert told <= {Reason.ALREADY_REVERSED, Reason.EXCEEDS_ORIGINAL}
        rest = 100 - part * wanted
        if rest and receiver_has_floor:
            await _post(works, _posting(shop, purse, rest))
    await assert_books_right(works)


@pytest.mark.parametrize("floor", [True, False])
async def test_a_reversal_racing_its_original_leaves_it_reversed_or_never_posted(
    works: Works, floor: bool
) -> None:
    purse = await new_account(works, BANK, Currency.KHR, 1000, floor=floor)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    ends = set()
    for round_ in range(24):
        original, reversal = _posting(purse, shop, 10), TransferId(new_id())

        def take_back(
            book: Book, original: Posting = original, reversal: TransferId = reversal
        ) -> Posted | Declined:
            answer = book.reverse(Reversal(id=reversal, original_id=original.id))
            missing = isinstance(answer, Declined) and answer.reason is Reason.ORIGINAL_NOT_FOUND
            return book.forestall(original, reversal) if missing else answer

        async def reverse(
            take_back: Callable[[Book], Posted | Declined] = take_back,
            original: Posting = original,
            reversal: TransferId = reversal,
        ) -> Posted | Declined:
            return await _asked_again(
                lambda: _in_book(
                    works, take_back, hold=original, ids=[reversal], originals=[original.id]
                )
            )

        async def post(original: Posting = original) -> Posted | Declined:
            return await _asked_again(lambda: _post(works, original))

        first, second = (post, reverse) if round_ % 2 else (reverse, post)
        answers = await asyncio.gather(first(), second())
        posted, reversed_ = answers if round_ % 2 else (answers[1], answers[0])
        assert isinstance(reversed_, Posted)
        ends.add(isinstance(posted, Posted))
        assert isinstance(posted, Posted) or posted.reason is Reason.REVERSED_FIRST
        found = await works.read(SYSTEM, BANK, lambda work: balances(work, [purse]))
        assert found[purse].posted.minor == 1000
    assert ends == {True, False}, "both orders should have come up"
    await assert_books_right(works)


async def test_a_house_account_closed_meanwhile_takes_nothing(works: Works) -> None:
    """It is read without a lock: the write finds out, and asked again the answer is right."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    other = await new_account(works, BANK, Currency.KHR, floor=False)

    async def slow(work: Work) -> None:
        posting = _posting(purse, shop, 10)
        book = await open_book(work, accounts=[purse, shop])
        assert isinstance(book.post(posting), Posted)
        await _in_book(
            works,
            lambda closing: closing.close(TransferId(new_id()), shop, other),
            accounts=[shop, other],
            exact=[shop],
        )
        await book.write()

    with pytest.raises(Refused) as refused:
        await works.perform(SYSTEM, BANK, slow)
    assert refused.value.reason is Reason.CONFLICT
    again = await _post(works, _posting(purse, shop, 10))
    assert isinstance(again, Declined)
    assert again.reason is Reason.ACCOUNT_CLOSED
    found = await works.read(SYSTEM, BANK, lambda work: balances(work, [purse]))
    assert found[purse].available.minor == 100
    await assert_books_right(works)


async def test_balancing_against_a_house_account_is_exact_under_concurrency(works: Works) -> None:
    """A loan of 100 is repaid by ten people wanting 30 each: 100 in all, never more."""
    payers = [await new_account(works, BANK, Currency.KHR, 30) for _ in range(10)]
    loan = await new_account(works, BANK, Currency.KHR, floor=False)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    await _post(works, _posting(loan, shop, 100))

    def repay(book: Book, payer: AccountId) -> Posted | Declined:
        return book.post(_posting(payer, loan, 30, Balancing.CREDIT))

    answers = await asyncio.gather(
        *(
            _in_book(works, partial(repay, payer=payer), accounts=[payer, loan], exact=[loan])
            for payer in payers
        )
    )
    paid = sorted(answer.amount_minor for answer in answers if isinstance(answer, Posted))
    assert paid == [10, 30, 30, 30]
    await assert_books_right(works)


async def test_open_bank_oss_528_capture_void_and_expiry_resolve_a_hold_once(
    works: Works, clock: TurnedClock
) -> None:
    for round_ in range(8):
        purse = await new_account(works, BANK, Currency.KHR, 100)
        shop = await new_account(works, BANK, Currency.KHR, floor=False)
        hold = _posting(purse, shop, 60)

        async def open_hold(work: Work, hold: Posting = hold) -> None:
            book = await open_book(work, accounts=[hold.debit, hold.credit])
            assert isinstance(book.hold(hold, timedelta(seconds=60)), Posted)
            await book.write()

        await works.perform(SYSTEM, BANK, open_hold)
        if round_ % 2:
            clock.advance(timedelta(seconds=60))

        async def resolve(work: Work, how: str, hold_id: TransferId = hold.id) -> Posted | Declined:
            book = await open_book(work, accounts=(), holds=[hold_id])
            transfer = TransferId(new_id())
            answer = (
                book.capture(transfer, hold_id)
                if how == "capture"
                else book.void(transfer, hold_id)
            )
            await book.write()
            return answer

        answers = await asyncio.gather(
            *(
                works.perform(SYSTEM, BANK, partial(resolve, how=how))
                for how in ["capture", "void"] * 4
            ),
            release_due(works, BANK),
        )
        assert sum(isinstance(answer, Posted) for answer in answers) == (0 if round_ % 2 else 1)
        reasons = {answer.reason for answer in answers if isinstance(answer, Declined)}
        assert reasons <= {
            Reason.HOLD_ALREADY_CAPTURED,
            Reason.HOLD_ALREADY_VOIDED,
            Reason.HOLD_EXPIRED,
        }
    await release_due(works, BANK)
    await assert_books_right(works)
