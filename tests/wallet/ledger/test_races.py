"""Real connections racing for the same money: exactly what is there is spent."""

import asyncio
from datetime import timedelta
from functools import partial

from tests.wallet.ledger.books import assert_books_right, new_account
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.expiry import release_due
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


def _posting(debit: AccountId, credit: AccountId, riel: int) -> Posting:
    return Posting(
        id=TransferId(new_id()),
        debit=debit,
        credit=credit,
        money=Money.khr(riel),
        kind=TransferKind.TRANSFER,
    )


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


async def test_crossing_transfers_do_not_deadlock(works: Works) -> None:
    accounts = [await new_account(works, BANK, Currency.KHR, 1000) for _ in range(4)]
    answers = await asyncio.gather(
        *(
            _post(works, _posting(accounts[i % 4], accounts[(i * 7 + 1 + i % 3) % 4], 1))
            for i in range(120)
            if accounts[i % 4] != accounts[(i * 7 + 1 + i % 3) % 4]
        )
    )
    assert all(isinstance(answer, Posted) for answer in answers)
    await assert_books_right(works)


async def test_one_id_posted_by_many_is_one_transfer(works: Works) -> None:
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    posting = _posting(purse, shop, 10)
    answers = await asyncio.gather(
        *(_post(works, posting) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(a, Posted) and not a.repeated for a in answers) == 1
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
