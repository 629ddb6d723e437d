"""Linked transfers and closings, line by line against the real book."""

import pytest

from tests.wallet.ledger.books import assert_books_right
from tests.wallet.ledger.table import Table

LINKED = {
    "trap_4: a chain goes through whole, or leaves nothing": """
        account A floor KHR 100
        account B floor KHR
        account C floor KHR
        post t0 A B 10 => posted
        +post t1 A B 20 => posted
        +post t2 B C 30 => posted          # sees what the chain did before it
        post t3 C A 30 => posted
        +post t4 A B 50 => linked_failed
        +post t5 B C 99 => insufficient_funds 50 KHR
        post t6 A C 1 => linked_failed
        post t7 A B 100 => posted          # the failed chain took nothing
        post t8 A B 1 => insufficient_funds 0 KHR
        --
        see A 0 0
        see B 100 0
        see C 0 0
        """,
    "the member that fails has its own reason, wherever it stands": """
        account A floor KHR 10
        account B floor KHR
        +post t1 A A 1 => accounts_same
        +post t2 A B 1 => linked_failed
        post t3 A B 1 => linked_failed
        +post t4 A B 1 => linked_failed
        post t5 A X 1 => account_not_found credit
        +post t6 A B 1 => linked_failed
        +post t7 B A 2 => insufficient_funds
        post t8 A B 0 => linked_failed     # not decided any more
        post t9 A B 10 => posted
        --
        see A 0 0
        """,
    "a chain the group cuts off is open, and nothing of it is done": """
        account A floor KHR 10
        account B floor KHR
        post t1 A B 1 => posted
        +post t2 A B 1 => linked_failed
        +post t3 A B 1 => linked_chain_open
        --
        +post t4 A B 1 => linked_chain_open
        --
        +post t5 A X 1 => linked_failed
        +post t6 A B 1 => linked_chain_open
        --
        see A 9 0
        """,
    "a chain asked for again is answered as it was; a part of one is another act": """
        account A floor KHR 10
        account B floor KHR
        account C floor KHR
        +post t1 A B 5 => posted
        post t2 B C 3 => posted
        --
        +post t1 A B 5 => again
        post t2 B C 3 => again
        +post t1 A B 5 => linked_failed
        post t2 B C 2 => transfer_differs amount
        +post t1 A B 5 => transfer_differs linked
        post t3 B C 1 => linked_failed
        +post t4 B C 1 => linked_failed
        post t1 A B 5 => transfer_differs linked
        +post t5 B C 1 => linked_failed               # one id twice in a chain
        post t5 B C 1 => transfer_differs linked
        --
        see A 5 0
        see B 2 0
        see C 3 0
        """,
    "holds, captures and voids are linked like any other": """
        account A floor KHR 100
        account M house KHR
        hold h1 A M 40 60 => posted
        --
        +hold h2 A M 30 60 => linked_failed
        +capture c1 h1 40 => linked_failed
        capture c2 h2 31 => exceeds_hold 30
        --
        see A 100 40
        +hold h2 A M 30 60 => posted
        +capture c1 h1 40 => posted
        capture c2 h2 30 => posted
        --
        see A 30 0
        +void v1 h1 => hold_already_captured
        post t1 A M 1 => linked_failed
        --
        hold h3 A M 30 60 => posted
        --
        +void v3 h3 => linked_failed
        +hold h4 A M 30 60 => linked_failed
        post t2 A M 1 => insufficient_funds 0 KHR
        void v3 h3 => posted                # the hold stood open again
        --
        see A 30 0
        """,
    "the recipe for emptying and closing an account": """
        account A floor KHR 20
        account C house KHR
        +most t1 A C 9223372036854775807 debit => posted 20
        close c1 A C => posted
        --
        closed A
        see A 0 0
        +void v1 c1 => linked_failed
        post t2 A C 1 => insufficient_funds
        --
        closed A
        +close c2 C A => account_closed credit
        post t3 C A 1 => linked_failed
        --
        open C
        """,
    "two chains of a group do not know each other": """
        account A floor KHR 10
        account B floor KHR
        +post t1 A B 4 => posted
        post t2 A B 4 => posted
        +post t3 A B 2 => linked_failed
        post t4 A B 1 => insufficient_funds
        +post t5 A B 1 => posted
        post t6 A B 1 => posted
        --
        see B 10 0
        """,
}

CLOSING = {
    "a closed account takes nothing new and ends what was pending": """
        account A floor KHR 100
        account B floor KHR 50
        account S house KHR
        hold h1 A B 30 60 => posted
        hold h2 A B 20 60 => posted
        hold h3 B A 10 60 => posted
        hold h4 A B 5 10 => posted
        --
        close c1 A S => posted 0
        close c1 A S => again 0
        close c1 B S => transfer_differs debit
        close c1 A B => transfer_differs credit
        close c2 A S => account_closed debit
        post t1 A B 1 => account_closed debit
        post t2 B A 1 => account_closed credit
        hold h5 A B 1 60 => account_closed debit
        most t3 A B 1 debit => account_closed debit
        --
        closed A
        see A 100 55
        post t1 A B 1 => account_closed debit
        capture k1 h1 25 => posted 25
        void v2 h2 => posted 20
        capture k3 h3 all => posted 10
        --
        see A 85 5
        clock 10
        expire e4 h4 => posted 5
        --
        closed A
        see A 85 0
        see B 65 0
        """,
    "voiding the closing opens the account again": """
        account A floor KHR 10
        account B floor KHR
        account S house KHR
        close c1 A S => posted
        --
        expire e1 c1 => hold_not_yet_expired
        capture k1 c1 all => account_closed debit
        capture k1 c1 1 => account_closed debit
        reverse r1 c1 all => amount_zero
        reverse r1 c1 1 => not_reversible close
        clear k2 c1 5 S => not_a_hold
        --
        closed A
        void v1 c1 => posted 0
        void v1 c1 => again 0
        void v2 c1 => hold_already_voided
        post t1 A B 1 => posted
        close c1 A S => again 0             # what was done then, not what stands now
        close c2 A S => posted
        --
        closed A
        void v3 c2 => posted
        post t2 A B 9 => posted
        --
        open A
        see A 0 0
        """,
    "closing and opening within one group": """
        account A floor KHR 10
        account B floor KHR
        close c1 A B => posted
        post t1 A B 1 => account_closed
        void v1 c1 => posted
        post t2 A B 1 => posted
        close c2 A B => posted
        --
        closed A
        """,
    "bad closings": """
        account A floor KHR 10
        account D house USD
        account S house KHR
        close c1 A A => accounts_same
        close c1 X S => account_not_found debit
        close c1 A X => account_not_found credit
        close c1 A D => currency_unsupported
        close c2 S A => posted              # a house account closes like any other
        close c3 A S => account_closed credit
        post t1 S A 1 => account_closed debit
        --
        closed S
        open A
        post t1 S A 1 => account_closed debit
        void v2 c2 => posted
        post t1 S A 1 => posted
        --
        open S
        """,
}

TABLES = {**LINKED, **CLOSING}


@pytest.mark.parametrize("name", TABLES)
async def test_the_book_answers(name: str, table: Table) -> None:
    await table.run(TABLES[name])
    await assert_books_right(table.works)
