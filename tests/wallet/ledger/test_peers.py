"""Bugs that other ledgers had, each shown to be impossible here; named after where it was told.

More of them stand where they show best: blnk #181 (holds ignored in what is available), #182 (a
rejected hold committed), #62 (capture above the hold) and FINERACT-1751 (hold, withdraw and deposit
in one act) in the text tables; formance ledger #1601 and open-bank-oss #528 in the races.
"""

from datetime import timedelta

from tests.wallet.ledger.books import assert_books_right, fingerprint, new_account
from tests.wallet.ledger.table import Table
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import Book, Posted, Posting, Reversal, TransferKind, open_book
from wallet.ledger.chains import linked
from wallet.ledger.statement import balances, entries
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Reason
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


def _posting(debit: AccountId, credit: AccountId, money: Money) -> Posting:
    return Posting(
        id=TransferId(new_id()),
        debit=debit,
        credit=credit,
        money=money,
        kind=TransferKind.TRANSFER,
    )


async def test_blnk_55_what_moves_at_a_rate_has_both_its_rows_or_none(works: Works) -> None:
    """P3: there a hold with a rate moved the balance and left no row to commit or void."""
    riel = await new_account(works, BANK, Currency.KHR, 41_000)
    dollars = await new_account(works, BANK, Currency.USD)
    position_khr = await new_account(works, BANK, Currency.KHR, floor=False)
    position_usd = await new_account(works, BANK, Currency.USD, floor=False)

    async def exchange(work: Work, minor: int) -> list[TransferId]:
        legs = [
            _posting(riel, position_khr, Money.khr(minor)),
            _posting(position_usd, dollars, Money.usd(1000)),
        ]
        book = await open_book(work, accounts=[riel, dollars, position_khr, position_usd])
        answers = linked(
            book,
            [
                lambda: book.hold(legs[0], timedelta(minutes=1)),
                lambda: book.hold(legs[1], timedelta(minutes=1)),
            ],
        )
        await book.write()
        return [leg.id for leg, a in zip(legs, answers, strict=True) if isinstance(a, Posted)]

    before = await fingerprint(works)
    assert await works.perform(SYSTEM, BANK, lambda work: exchange(work, 41_001)) == []
    assert await fingerprint(works) == before
    held = await works.perform(SYSTEM, BANK, lambda work: exchange(work, 41_000))
    assert len(held) == 2

    async def capture(work: Work) -> None:
        book = await open_book(work, accounts=(), holds=held)
        answers = linked(
            book,
            [lambda hold=hold: book.capture(TransferId(new_id()), hold) for hold in held],
        )
        assert all(isinstance(answer, Posted) for answer in answers)
        await book.write()

    await works.perform(SYSTEM, BANK, capture)
    found = await works.read(SYSTEM, BANK, lambda work: balances(work, [riel, dollars]))
    assert (found[riel].posted.minor, found[dollars].posted.minor) == (0, 1000)
    await assert_books_right(works)


async def test_tigerbeetle_27_the_reply_carries_the_balance(works: Works) -> None:
    """P6: asked for there since 2021; here every answer says what is left, in the same group."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)

    async def act(work: Work) -> list[Posted | Declined]:
        hold = _posting(purse, shop, Money.khr(30))
        paid = _posting(purse, shop, Money.khr(50))
        book = await open_book(work, accounts=[purse, shop], holds=[hold.id], originals=[paid.id])
        answers = [
            book.hold(hold, timedelta(minutes=1)),
            book.post(paid),
            book.post(paid),
            book.capture(TransferId(new_id()), hold.id, 10),
            book.post(_posting(purse, shop, Money.khr(41))),
            book.reverse(Reversal(id=TransferId(new_id()), original_id=paid.id)),
        ]
        assert book.available(purse) == Money.khr(90)
        await book.write()
        return answers

    answers = await works.perform(SYSTEM, BANK, act)
    left = [a.available.minor for a in answers if isinstance(a, Posted) and a.available]
    assert left == [70, 20, 20, 40]  # the reversal's debit is the shop, whose balance is no answer
    declined = answers[4]
    assert isinstance(declined, Declined)
    assert declined.facts == {"available_minor": 40, "currency": "KHR"}


async def test_formance_stack_1636_one_id_twice_in_a_group_is_one_transfer(works: Works) -> None:
    """P8: there the same key twice in one batch crashed it."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    posting = _posting(purse, shop, Money.khr(60))

    async def act(work: Work) -> list[Posted | Declined]:
        book = await open_book(
            work, accounts=[purse, shop], ids=[posting.id, posting.id], holds=[posting.id]
        )
        answers = [book.post(posting) for _ in range(3)]
        await book.write()
        return answers

    answers = await works.perform(SYSTEM, BANK, act)
    assert [isinstance(a, Posted) and a.repeated for a in answers] == [False, True, True]
    found = await works.read(SYSTEM, BANK, lambda work: balances(work, [purse]))
    assert found[purse].posted.minor == 40
    await assert_books_right(works)


async def test_formance_1601_a_repeated_reversal_is_told_its_answer(works: Works) -> None:
    """P8: there a key used again on a revert was a 500."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    paid = _posting(purse, shop, Money.khr(60))
    reversal = Reversal(id=TransferId(new_id()), original_id=paid.id)

    async def act(work: Work) -> Posted | Declined:
        book = await open_book(
            work, accounts=[purse, shop], ids=[paid.id, reversal.id], originals=[paid.id]
        )
        assert isinstance(book.post(paid), Posted)
        answer = book.reverse(reversal)
        await book.write()
        return answer

    answers = [await works.perform(SYSTEM, BANK, act) for _ in range(3)]
    assert [isinstance(a, Posted) and a.repeated for a in answers] == [False, True, True]


async def test_blnk_158_every_row_made_of_another_names_it(
    works: Works, clock: TurnedClock
) -> None:
    """P5: asked for there. What a clearing, an excess, a shortfall, a reversal, an expiry or a
    release makes can be followed back to the row it was made of."""
    text = """
        account A floor KHR 20
        account M house KHR
        account S house KHR
        hold h1 A M 10 60 => posted
        clear c1 h1 40 S => posted 20 short 20
        --
        reverse r1 c1 5 => posted
        --
        account B floor KHR 20
        hold h2 B M 5 60 => posted
        hold h3 B M 5 60 => posted
        void v2 h2 => posted
        --
        clock 60
        expire e3 h3 => posted
        --
        clear c3 h3 9 S => posted
        """
    table = Table(works, clock)
    await table.run(text)

    async def rows(work: Work) -> list[tuple[bool, bool]]:
        sql = """
            select t.phase, t.kind, t.pending_id, t.original_id, named.id is not null as found
            from transfers t
            left join transfers named on named.id = coalesce(t.pending_id, t.original_id)
            where t.kind <> 'opening' order by t.seq
            """
        found = await work.rows(sql)
        return [
            (row["pending_id"] is not None or row["original_id"] is not None, row["found"])
            for row in found
            if row["phase"] != "hold"
        ]

    made = await works.read(SYSTEM, BANK, rows)
    assert len(made) == 7
    assert set(made) == {(True, True)}


async def test_blnk_359_entries_of_one_moment_have_one_order_and_a_closed_account_stays_readable(
    works: Works, clock: TurnedClock
) -> None:
    """P5: asked for there, a stable order and accounts put away."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)

    async def pay(work: Work) -> None:
        book = await open_book(work, accounts=[purse, shop])
        for _ in range(10):
            assert isinstance(book.post(_posting(purse, shop, Money.khr(1))), Posted)
        await book.write()

    async def close(work: Work) -> None:
        book = await open_book(work, accounts=[purse, shop], exact=[shop])
        assert isinstance(book.close(TransferId(new_id()), purse, shop), Posted)
        assert isinstance(book.post(_posting(purse, shop, Money.khr(1))), Declined)
        await book.write()

    await works.perform(SYSTEM, BANK, pay)
    whole = await works.read(SYSTEM, BANK, lambda work: entries(work, purse))
    assert len({line.at for line in whole}) == 1
    seen: list[TransferId] = []
    before = None
    while True:
        page = await works.read(
            SYSTEM, BANK, lambda work, b=before: entries(work, purse, before_seq=b, limit=3)
        )
        if not page:
            break
        seen += [line.transfer_id for line in page]
        before = page[-1].seq
        await works.perform(SYSTEM, BANK, pay) if len(seen) == 3 else None
    assert seen == [line.transfer_id for line in whole]
    await works.perform(SYSTEM, BANK, close)
    kept = await works.read(SYSTEM, BANK, lambda work: entries(work, purse, limit=50))
    assert {line.transfer_id for line in whole} <= {line.transfer_id for line in kept}
    await assert_books_right(works)


async def test_fineract_1751_hold_withdraw_and_deposit_are_one_act(works: Works) -> None:
    """P11: there it could not be done in one; here all of it happens, or none."""
    purse = await new_account(works, BANK, Currency.KHR, 100)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)

    async def act(work: Work, withdrawn: int) -> list[Posted | Declined]:
        steps = [
            _posting(purse, shop, Money.khr(30)),
            _posting(purse, shop, Money.khr(withdrawn)),
            _posting(shop, purse, Money.khr(5)),
        ]
        book = await open_book(work, accounts=[purse, shop])
        answers = linked(
            book,
            [
                lambda: book.hold(steps[0], timedelta(minutes=1)),
                lambda: book.post(steps[1]),
                lambda: book.post(steps[2]),
            ],
        )
        await book.write()
        return answers

    before = await fingerprint(works)
    failed = await works.perform(SYSTEM, BANK, lambda work: act(work, 71))
    assert [a.reason for a in failed if isinstance(a, Declined)] == [
        Reason.LINKED_FAILED,
        Reason.INSUFFICIENT_FUNDS,
        Reason.LINKED_FAILED,
    ]
    assert await fingerprint(works) == before
    done = await works.perform(SYSTEM, BANK, lambda work: act(work, 70))
    assert all(isinstance(answer, Posted) for answer in done)
    found = await works.read(SYSTEM, BANK, lambda work: balances(work, [purse]))
    assert (found[purse].posted.minor, found[purse].held.minor) == (35, 30)
    await assert_books_right(works)


async def test_mojaloop_3078_a_hold_is_over_at_its_moment_before_anybody_swept(
    works: Works, clock: TurnedClock
) -> None:
    """P12: there an expired transfer was reported as if it stood."""
    text = """
        account A floor KHR 10
        account M house KHR
        hold h1 A M 8 60 => posted
        clock 60
        capture c1 h1 all => hold_expired
        void v1 h1 => hold_expired
        clear c2 h1 8 M => accounts_same
        expire e1 h1 => posted
        capture c1 h1 all => hold_expired
        --
        see A 10 0
        """
    await Table(works, clock).run(text)


async def test_what_a_forced_post_did_not_take_is_not_on_the_statement(works: Works) -> None:
    purse = await new_account(works, BANK, Currency.KHR, 10)
    shop = await new_account(works, BANK, Currency.KHR, floor=False)
    suspense = await new_account(works, BANK, Currency.KHR, floor=False)

    async def act(work: Work) -> None:
        book: Book = await open_book(work, accounts=[purse, shop, suspense])
        for money in (Money.khr(30), Money.khr(5)):
            assert isinstance(book.force(_posting(purse, shop, money), suspense), Posted)
        await book.write()

    await works.perform(SYSTEM, BANK, act)
    lines = await works.read(SYSTEM, BANK, lambda work: entries(work, purse))
    assert [line.amount_minor for line in lines] == [-10, 10]
    cases = await works.read(
        SYSTEM,
        BANK,
        lambda work: work.rows("select amount_minor, cause from shortfalls order by amount_minor"),
    )
    assert [tuple(case) for case in cases] == [
        (5, "insufficient_funds"),
        (20, "insufficient_funds"),
    ]
    noted = await works.read(
        SYSTEM,
        BANK,
        lambda work: work.value("select count(*) from audit where act = 'ledger.shortfall'"),
    )
    assert noted == 2


async def test_between_banks_nothing_is_found(works: Works) -> None:
    """Another bank's account, hold and transfer are not there to be used."""
    mine = await new_account(works, BANK, Currency.KHR, 100)
    theirs = await new_account(works, BankId("WING"), Currency.KHR, 100)
    other = await new_account(works, BankId("WING"), Currency.KHR)
    hold = _posting(theirs, other, Money.khr(10))
    paid = _posting(theirs, other, Money.khr(10))

    async def at_wing(work: Work) -> None:
        book = await open_book(work, accounts=[theirs, other])
        assert isinstance(book.hold(hold, timedelta(minutes=1)), Posted)
        assert isinstance(book.post(paid), Posted)
        await book.write()

    await works.perform(SYSTEM, BankId("WING"), at_wing)

    async def act(work: Work) -> list[Posted | Declined]:
        book = await open_book(
            work, accounts=[mine, theirs], holds=[hold.id], originals=[paid.id], exact=[theirs]
        )
        reversal = Reversal(id=TransferId(new_id()), original_id=paid.id)
        return [
            book.post(_posting(mine, theirs, Money.khr(1))),
            book.capture(TransferId(new_id()), hold.id),
            book.reverse(reversal),
            book.close(TransferId(new_id()), theirs, mine),
        ]

    answers = await works.perform(SYSTEM, BANK, act)
    assert [a.reason for a in answers if isinstance(a, Declined)] == [
        Reason.ACCOUNT_NOT_FOUND,
        Reason.HOLD_NOT_FOUND,
        Reason.ORIGINAL_NOT_FOUND,
        Reason.ACCOUNT_NOT_FOUND,
    ]
