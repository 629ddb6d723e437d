"""What the book answers, line by line; the names of peers' bugs stand where they would show."""

import pytest

from tests.wallet.ledger.books import assert_books_right
from tests.wallet.ledger.table import Table
from wallet.clock import TurnedClock
from wallet.work import Works

TABLES = {
    "posting moves money and never below zero": """
        account A floor KHR 1000
        account B floor KHR
        account T house KHR
        post t1 A B 400 => posted
        post t2 A B 600 => posted
        post t3 A B 1 => insufficient_funds
        post t4 B A 1000 => posted
        post t5 T A 5000 => posted
        --
        see A 6000 0
        see B 0 0
        see T -5000 0
        """,
    "bad postings are declined in a fixed order of reasons": """
        account A floor KHR 10
        account B floor KHR
        account D floor USD
        post t1 A B 0 => amount_invalid
        post t2 A B -5 => amount_invalid
        post t3 A A 1 => account_not_found
        post t4 A D 1 => currency_unsupported
        post t5 A B 1/USD => currency_unsupported
        post t6 A X 1 => account_not_found
        post t7 A B 9223372036854775808 => amount_invalid
        post t8 A B 11 => insufficient_funds
        --
        see A 10 0
        """,
    "the same id with the same content is the same transfer; other content is not": """
        account A floor KHR 100
        account B floor KHR
        post t1 A B 30 => posted
        post t1 A B 30 => again
        post t1 A B 31 => transfer_differs
        post t1 B A 30 => transfer_differs
        --
        post t1 A B 30 => again
        hold t1 A B 30 60 => transfer_differs
        --
        see A 70 0
        """,
    "blnk_181: a hold counts against what is available": """
        account A floor KHR 5
        account M house KHR
        hold h1 A M 1 60 => posted
        hold h2 A M 1 60 => posted
        hold h3 A M 1 60 => posted
        --
        hold h4 A M 1 60 => posted
        hold h5 A M 1 60 => posted
        hold h6 A M 1 60 => insufficient_funds
        post t1 A M 1 => insufficient_funds
        --
        see A 5 5
        """,
    "blnk_182: a declined hold is not there to be captured": """
        account A floor KHR 5
        account M house KHR
        hold h1 A M 6 60 => insufficient_funds
        capture c1 h1 all => hold_not_found
        --
        capture c1 h1 all => hold_not_found
        see A 5 0
        """,
    "blnk_62: a capture never exceeds its hold, and releases the rest": """
        account A floor KHR 100
        account M house KHR
        hold h1 A M 60 60 => posted
        --
        capture c1 h1 61 => exceeds_hold
        capture c2 h1 0 => amount_invalid
        capture c3 h1 25 => posted
        capture c4 h1 25 => hold_already_captured
        void v1 h1 => hold_already_captured
        capture c3 h1 25 => again
        --
        capture c5 h1 1 => hold_already_captured
        capture c3 h1 25 => again
        capture c3 h1 26 => transfer_differs
        see A 75 0
        see M 25 0
        """,
    "a void releases the whole hold, once": """
        account A floor KHR 100
        account M house KHR
        hold h1 A M 60 60 => posted
        void v1 h1 => posted
        void v2 h1 => hold_already_voided
        void v1 h1 => again
        capture c1 h1 all => hold_already_voided
        --
        void v3 h1 => hold_already_voided
        see A 100 0
        see M 0 0
        """,
    "a hold expires exactly at its moment": """
        account A floor KHR 100
        account M house KHR
        hold h1 A M 60 10 => posted
        hold h2 A M 10 10 => posted
        hold h3 A M 10 10 => posted
        --
        clock 9.999
        expire e1 h1 => hold_not_yet_expired
        capture c1 h1 all => posted
        --
        clock 0.001
        capture c2 h2 all => hold_expired
        void v2 h2 => hold_expired
        expire e2 h2 => posted
        capture c3 h2 all => hold_expired
        expire e2 h2 => again
        expire e4 h3 => posted
        --
        see A 40 0
        see M 60 0
        """,
    "a group sees the effect of those before it": """
        account A floor KHR 10
        account B floor KHR
        account C floor KHR
        post t1 B C 10 => insufficient_funds
        post t2 A B 10 => posted
        post t3 B C 10 => posted
        hold h1 C A 4 60 => posted
        capture k1 h1 3 => posted
        post t4 C A 7 => posted
        --
        see A 10 0
        see B 0 0
        see C 0 0
        """,
    "money held for an account cannot be spent by it": """
        account A floor USD 500
        account B floor USD
        hold h1 A B 500 60 => posted
        post t1 B A 1 => insufficient_funds
        capture c1 h1 all => posted
        post t2 B A 500 => posted
        --
        see A 500 0
        """,
    "what resolves a hold must name a hold": """
        account A floor KHR 10
        account B floor KHR
        post t1 A B 5 => posted
        capture c1 t1 all => hold_not_found
        void v1 nothing => hold_not_found
        expire e1 nothing => hold_not_found
        """,
    "edges of the largest amount": """
        account T house KHR
        account U house KHR
        post t1 T U 9223372036854775807 => posted
        post t2 T U 1 => amount_invalid
        hold h1 T U 1 60 => amount_invalid
        --
        see U 9223372036854775807 0
        """,
}


@pytest.mark.parametrize("name", TABLES)
async def test_the_book_answers(name: str, works: Works, clock: TurnedClock) -> None:
    await Table(works, clock).run(TABLES[name])
    if "largest" not in name:
        await assert_books_right(works)
