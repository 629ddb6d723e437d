"""What the book answers, line by line; the names of peers' bugs stand where they would show."""

import pytest

from tests.wallet.ledger.books import assert_books_right
from tests.wallet.ledger.table import Table

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
    "bad postings are declined, each for its own reason": """
        account A floor KHR 10
        account B floor KHR
        account D floor USD
        post t1 A B 0 => amount_zero
        post t2 A B -5 => amount_negative
        post t3 A A 1 => accounts_same
        post t4 A D 1 => currency_unsupported KHR
        post t5 A B 1/USD => currency_unsupported USD
        post t6 A X 1 => account_not_found credit
        post t7 X A 1 => account_not_found debit
        post t8 X Y 1 => accounts_same             # both unknown names are account 0
        post t9 A B 9223372036854775808 => amount_too_large
        post t10 A B -9223372036854775809 => amount_negative
        post t11 A B 11 => insufficient_funds 10 KHR
        hold t12 A B 0 60 => amount_zero
        hold t13 A A 1 60 => accounts_same
        hold t14 A X 1 60 => account_not_found credit
        hold t15 A B 11 60 => insufficient_funds 10 KHR
        hold t16 A B 1 0 => hold_expired
        hold t17 A B 1 -1 => hold_expired
        --
        see A 10 0
        """,
    "the order of reasons is fixed: the first that applies is told": """
        account A floor KHR 10
        account B floor KHR
        account D floor USD
        account C floor KHR 5
        account S house KHR
        close c1 C S => posted
        --
        post t0 A B 1 => posted
        post t0 A A 0/USD => transfer_differs credit
        post t1 A A 0 => amount_zero
        post t2 A A -1/USD => amount_negative
        post t3 A A 1/USD => accounts_same
        post t4 X D 1/USD => account_not_found debit
        post t5 C D 1 => currency_unsupported
        post t6 C X 1 => account_not_found credit
        post t7 C B 99 => account_closed debit
        post t8 A C 99 => account_closed credit
        post t9 A B 9223372036854775807 => balance_too_large
        most t10 C B 9 debit => account_closed debit
        most t11 B A 9 debit => posted 1
        most t12 B A 9 debit => nothing_to_move
        capture t13 nothing 0 => amount_zero
        capture t14 nothing -1 => amount_negative
        capture t15 nothing 9223372036854775808 => amount_too_large
        capture t16 nothing 1 => hold_not_found
        capture t17 t0 5 => not_a_hold
        --
        see A 10 0
        """,
    "the same id with the same content is the same transfer; other content is not": """
        account A floor KHR 100
        account B floor KHR
        account C floor KHR
        account D floor USD 9
        account E floor USD
        post t1 A B 30 => posted 30
        post t1 A B 30 => again 30
        post t1 A B 31 => transfer_differs amount
        post t1 B A 30 => transfer_differs debit
        post t1 A C 30 => transfer_differs credit
        hold t1 A B 30 60 => transfer_differs phase
        most t1 A B 30 debit => transfer_differs how
        capture t1 h1 all => transfer_differs pending_id
        --
        post t1 A B 30 => again 30
        post t1 A B 30/USD => transfer_differs currency
        hold t1 A B 30 60 => transfer_differs phase
        post t1 X B 30 => transfer_differs debit
        post t1 A B 0 => transfer_differs amount
        post t1 D E 30 => transfer_differs debit
        --
        hold h1 A B 10 60 => posted 10
        hold h1 A B 10 60 => again 10
        hold h1 A B 10 61 => transfer_differs lasts
        --
        clock 59
        hold h1 A B 10 60 => again 10
        clock 99
        hold h1 A B 10 60 => again 10
        void v1 h1 => hold_expired
        --
        see A 70 10
        """,
    "a declined id is free again: the ledger burns none": """
        account A floor KHR 5
        account B floor KHR 100
        post t1 A B 6 => insufficient_funds 5 KHR
        --
        post t2 B A 10 => posted
        --
        post t1 A B 6 => posted
        post t1 A B 6 => again
        --
        see A 9 0
        """,
    "a balancing transfer moves at most what is there": """
        account A floor KHR 100
        account B floor KHR
        account L house KHR              # a loan: what it was given it is owed back
        account U floor USD
        hold h1 A B 30 60 => posted
        most t1 A B 50 debit => posted 50
        most t2 A B 50 debit => posted 20
        most t2 A B 50 debit => again 20
        most t2 A B 20 debit => transfer_differs amount
        most t2 A B 50 both => transfer_differs how
        post t2 A B 50 => transfer_differs how
        most t3 A B 50 debit => nothing_to_move
        most t4 A B 0 debit => amount_zero
        most t5 A B -1 debit => amount_negative
        most t6 A A 1 debit => accounts_same
        most t7 A U 1 debit => currency_unsupported
        most t8 A X 1 debit => account_not_found credit
        --
        most t3 A B 50 debit => nothing_to_move
        post t9 L A 40 => posted           # the loan is paid out
        most t10 A L 25 credit => posted 25
        most t11 A L 25 credit => posted 15
        most t12 A L 25 credit => nothing_to_move
        most t13 B A 5 credit => nothing_to_move     # nobody owes a wallet
        most t14 L A 5 debit => nothing_to_move      # and this one has nothing left
        --
        post t15 L B 30 => posted
        most t16 A L 9223372036854775807 both => nothing_to_move
        post t17 B A 20 => posted
        most t18 A L 9223372036854775807 both => posted 20
        most t19 B L 9223372036854775807 both => posted 10
        most t20 B L 9223372036854775807 debit => posted 70
        --
        see A 30 30
        see B 0 0
        see L 70 0
        """,
    "a balancing hold reserves at most what is there": """
        account A floor KHR 100
        account B house KHR
        most h1 A B 70 debit 60 => posted 70
        most h2 A B 70 debit 60 => posted 30
        most h2 A B 70 debit 60 => again 30
        most h3 A B 70 debit 60 => nothing_to_move
        capture c1 h2 31 => exceeds_hold 30
        capture c1 h2 all => posted 30
        void v1 h1 => posted 70
        --
        see A 70 0
        see B 30 0
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
        capture c1 h1 61 => exceeds_hold 60
        capture c2 h1 0 => amount_zero
        capture c2 h1 -1 => amount_negative
        capture c2 h1 9223372036854775808 => amount_too_large
        capture c3 h1 25 => posted
        capture c4 h1 25 => hold_already_captured
        capture c4 h1 61 => exceeds_hold
        void v1 h1 => hold_already_captured
        capture c3 h1 25 => again
        --
        capture c5 h1 1 => hold_already_captured
        capture c3 h1 25 => again
        capture c3 h1 26 => transfer_differs amount
        capture c3 h1 all => transfer_differs amount
        void c3 h1 => transfer_differs phase
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
        capture c1 t1 all => not_a_hold
        void v1 t1 => not_a_hold
        void v1 nothing => hold_not_found
        expire e1 nothing => hold_not_found
        hold h1 A B 1 60 => posted
        void v2 h1 => posted
        capture c2 v2 all => not_a_hold         # what ended a hold is none
        """,
    "a link to itself, or ahead, leads nowhere": """
        account A floor KHR 10
        account B floor KHR
        capture c1 c1 all => link_to_itself
        void c1 c1 => link_to_itself
        expire c1 c1 => link_to_itself
        reverse r1 r1 all => link_to_itself
        forestall f1 A B 1 f1 => link_to_itself
        capture c2 h1 all => hold_not_found      # ahead of its hold
        hold h1 A B 5 60 => posted
        capture h1 h1 all => link_to_itself
        reverse r2 t1 all => original_not_found  # ahead of its original
        post t1 A B 5 => posted
        reverse t1 t1 all => link_to_itself
        --
        capture c2 h1 all => posted
        see A 0 0
        """,
    "fineract_1751: hold, withdraw and deposit in one act": """
        account A floor KHR 10
        account T house KHR
        +hold h1 A T 8 60 => posted
        +post t1 A T 2 => posted
        post t2 T A 5 => posted
        --
        see A 13 8
        """,
    "a hold of any length ends at its own moment, also one of a microsecond": """
        account A floor KHR 10
        account M house KHR
        hold h1 A M 1 0.000001 => posted
        hold h2 A M 1 0.000002 => posted
        capture c1 h1 all => posted
        --
        clock 0.000001
        expire e2 h2 => hold_not_yet_expired
        capture c2 h2 all => posted
        hold h3 A M 1 86400 => posted
        clock 86399.999999
        capture c3 h3 0 => amount_zero
        expire e3 h3 => hold_not_yet_expired
        clock 0.000001
        capture c3 h3 1 => hold_expired
        expire e3 h3 => posted
        void v3 h3 => hold_expired
        --
        see A 8 0
        """,
    "edges of the largest amount": """
        account T house KHR
        account U house KHR
        account V house KHR
        post t1 T U 9223372036854775807 => posted
        post t2 T U 1 => balance_too_large
        post t3 T V 1 => balance_too_large
        post t4 V U 1 => balance_too_large
        hold h1 T V 1 60 => balance_too_large
        hold h2 V U 1 60 => balance_too_large
        post t5 U V 9223372036854775807 => posted
        most t6 T V 1 debit => nothing_to_move
        --
        see U 0 0
        see V 9223372036854775807 0
        """,
}


@pytest.mark.parametrize("name", TABLES)
async def test_the_book_answers(name: str, table: Table) -> None:
    """D13 among them."""
    await table.run(TABLES[name])
    await assert_books_right(table.works)
