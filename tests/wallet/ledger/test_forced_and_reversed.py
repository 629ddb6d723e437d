"""Forced posts and reversals, line by line against the real book."""

import pytest

from tests.wallet.ledger.books import assert_books_right
from tests.wallet.ledger.table import Table

FORCED = {
    "what is forced is posted always, and never as an overdraft": """
        account A floor KHR 60
        account M house KHR
        account S house KHR
        force f1 A M 50 S => posted 50
        force f2 A M 100 S => posted 10 short 90
        force f3 A M 7 S => posted 0 short 7
        --
        see A 0 0
        see M 157 0
        see S -97 0
        force f2 A M 100 S => again 10 short 90
        force f3 A M 7 S => again 0 short 7
        force f2 A M 101 S => transfer_differs amount
        post f2 A M 100 => transfer_differs how
        post f2 A M 10 => transfer_differs how
        --
        see S -97 0
        """,
    "held money is not there for a forced post": """
        account A floor KHR 60
        account M house KHR
        account S house KHR
        hold h1 A M 50 60 => posted
        force f1 A M 30 S => posted 10 short 20
        capture c1 h1 all => posted 50
        --
        see A 0 0
        see M 80 0
        """,
    "blnk_62: a clearing above its hold takes the hold, what is there besides, and suspense": """
        account A floor KHR 100
        account M house KHR
        account S house KHR
        hold h1 A M 70 60 => posted
        hold h2 A M 20 60 => posted
        --
        clear c1 h1 100 S => posted 80 short 20
        clear c1 h1 100 S => again 80 short 20
        clear c1 h1 99 S => transfer_differs amount
        clear c1 h2 100 S => transfer_differs pending_id
        void c1 h1 => transfer_differs phase
        --
        see A 20 20
        see M 100 0
        see S -20 0
        clear c1 h1 100 S => again 80 short 20
        void v1 h1 => hold_already_captured
        clear c2 h2 15 S => posted 15            # below its hold it is a plain capture
        clear c2 h2 15 S => again 15
        --
        see A 5 0
        """,
    "a clearing within what is there needs no suspense": """
        account A floor KHR 100
        account M house KHR
        account S house KHR
        hold h1 A M 40 60 => posted
        clear c1 h1 90 S => posted 90
        --
        clear c1 h1 90 S => again 90
        see A 10 0
        see S 0 0
        """,
    "a late clearing is posted: the hold is over, the money is taken where it is": """
        account A floor KHR 100
        account M house KHR
        account S house KHR
        hold h1 A M 60 10 => posted
        hold h2 A M 30 60 => posted
        void v2 h2 => posted
        --
        clock 10
        capture c1 h1 all => hold_expired
        clear c1 h1 60 S => posted 60           # what was held is released first
        expire e1 h1 => hold_expired
        clear c2 h2 30 S => posted 30
        --
        clear c1 h1 60 S => again 60
        clear c1 h1 61 S => transfer_differs amount
        clear c2 h2 30 S => again 30
        clear c2 h1 30 S => transfer_differs pending_id
        clear c3 h2 90 S => posted 10 short 80
        --
        see A 0 0
        see M 180 0
        see S -80 0
        """,
    "a second clearing of one hold is late too": """
        account A floor KHR 100
        account M house KHR
        account S house KHR
        hold h1 A M 60 60 => posted
        clear c1 h1 50 S => posted 50
        clear c2 h1 20 S => posted 20
        --
        see A 30 0
        """,
    "a closed account pays nothing, suspense does; its holds are honoured": """
        account A floor KHR 100
        account M house KHR
        account S house KHR
        hold h1 A M 40 60 => posted
        close k1 A S => posted
        --
        force f1 A M 10 S => posted 0 short 10
        clear c1 h1 45 S => posted 40 short 5
        --
        closed A
        see A 60 0
        see M 55 0
        see S -15 0
        """,
    "what is forced to a closed account goes to suspense, if the payer can pay": """
        account A floor KHR 100
        account B floor KHR
        account S house KHR
        hold h1 A B 10 60 => posted
        close k1 B S => posted
        --
        force f1 A B 30 S => posted 0 short 30
        clear c1 h1 25 S => posted 10 short 15
        force f2 A B 46 S => insufficient_funds 45 KHR
        --
        see A 45 0
        see B 10 0
        see S 45 0
        force f1 A B 30 S => again 0 short 30
        close k2 A S => posted
        force f3 A B 1 S => account_closed credit
        """,
    "only what can be no transfer at all is not forced": """
        account A floor KHR 100
        account M house KHR
        account D house USD
        account S house KHR
        post t1 A M 1 => posted
        force f1 A M 0 S => amount_zero
        force f2 A M -1 S => amount_negative
        force f3 A M 9223372036854775808 S => amount_too_large
        force f4 A A 1 S => accounts_same
        force f5 A X 1 S => account_not_found credit
        force f6 A D 1 S => currency_unsupported
        force f7 A M 1/USD S => currency_unsupported
        force f8 A S 1 S => accounts_same
        force f9 S M 1 S => accounts_same
        force f10 A M 9223372036854775807 S => balance_too_large
        clear c1 nothing 1 S => hold_not_found
        clear c1 t1 1 S => not_a_hold
        clear c1 c1 1 S => link_to_itself
        clear c1 nothing 0 S => amount_zero
        --
        see A 99 0
        """,
    "a forced post in a failed chain leaves no case": """
        account A floor KHR 10
        account M house KHR
        account S house KHR
        +force f1 A M 50 S => linked_failed
        post t1 A M 1 => insufficient_funds
        --
        see A 10 0
        see S 0 0
        """,
}

REVERSALS = {
    "a transfer is given back in parts, in sum never above it": """
        account A floor KHR 100
        account M house KHR
        post t1 A M 80 => posted
        reverse r1 t1 30 => posted 30
        reverse r1 t1 30 => again 30
        reverse r1 t1 31 => transfer_differs amount
        reverse r2 t1 51 => exceeds_original 50
        --
        reverse r2 t1 51 => exceeds_original 50
        reverse r2 t1 all => exceeds_original 50
        reverse r2 t1 50 => posted 50
        reverse r3 t1 1 => already_reversed
        --
        reverse r3 t1 1 => already_reversed
        reverse r3 t1 all => already_reversed
        reverse r2 t1 50 => again 50
        see A 100 0
        see M 0 0
        """,
    "only money that was paid is given back": """
        account A floor KHR 100
        account M house KHR
        hold h1 A M 50 60 => posted
        reverse r1 h1 all => not_reversible hold
        capture c1 h1 40 => posted
        reverse r1 h1 all => not_reversible hold
        reverse r1 c1 41 => exceeds_original 40
        reverse r1 c1 0 => amount_zero
        reverse r1 c1 -1 => amount_negative
        reverse r1 c1 9223372036854775808 => amount_too_large
        reverse r1 c1 1/USD => currency_unsupported
        reverse r1 c1 all => posted 40
        reverse r2 r1 all => not_reversible posted
        reverse r2 nothing all => original_not_found
        reverse c1 h1 all => transfer_differs phase
        reverse r1 nothing all => transfer_differs original_id
        --
        see A 100 0
        """,
    "the receiver pays, or the house in its place; without money only by force": """
        account A floor KHR 100
        account B floor KHR
        account L house KHR
        account S house KHR
        post t1 A B 90 => posted
        post t2 B S 60 => posted
        reverse r1 t1 all => insufficient_funds 30 KHR
        reverse r2 t1 40 by L => posted 40
        reverse r2 t1 40 => transfer_differs debit
        reverse r3 t1 10 by A => accounts_same
        reverse r4 t1 10 by X => account_not_found debit
        --
        see B 30 0
        reverse r5 t1 50 forced S => posted 30 short 20
        reverse r5 t1 50 forced S => again 30 short 20
        reverse r5 t1 50 => transfer_differs how
        reverse r6 t1 1 forced S => already_reversed
        --
        see A 100 0
        see B 0 0
        see L -40 0
        see S 40 0
        """,
    "a reversal to a closed account waits in suspense, if forced": """
        account A floor KHR 100
        account M house KHR
        account S house KHR
        post t1 A M 90 => posted
        close k1 A S => posted
        --
        reverse r1 t1 all => account_closed credit
        reverse r1 t1 all forced S => posted 0 short 90
        --
        see A 10 0
        see S 90 0
        see M 0 0
        """,
    "a reversal in a failed chain gives nothing back and counts nothing": """
        account A floor KHR 100
        account M house KHR
        post t1 A M 90 => posted
        --
        +reverse r1 t1 60 => linked_failed
        post t2 A M 999 => insufficient_funds 70 KHR
        +reverse r2 t1 60 => posted
        reverse r3 t1 30 => posted
        --
        see A 100 0
        reverse r4 t1 1 => already_reversed
        """,
    "open_bank_oss_528: reversed twice, credited once": """
        account A floor KHR 100
        account M house KHR
        post t1 A M 90 => posted
        reverse r1 t1 all => posted
        reverse r2 t1 all => already_reversed
        --
        reverse r3 t1 all => already_reversed
        see A 100 0
        """,
    "a reversal that comes first leaves a tombstone: the original is never posted": """
        account A floor KHR 100
        account M house KHR
        account D house USD
        reverse r1 t1 all => original_not_found
        forestall t1 A M 80 r1 => posted
        reverse r1 t1 all => again
        forestall t1 A M 80 r1 => again
        forestall t1 A M 80 r2 => already_reversed
        reverse r2 t1 all => already_reversed
        post t1 A M 80 => reversed_first
        --
        post t1 A M 80 => reversed_first
        hold t1 A M 80 60 => reversed_first
        force t1 A M 80 M => reversed_first
        post t1 M A 1 => reversed_first
        capture t1 h1 all => transfer_differs pending_id
        reverse r1 t1 all => again
        forestall t1 A M 80 r1 => again
        reverse r2 t1 all => already_reversed
        --
        see A 100 0
        post t2 A M 1 => posted
        forestall t2 A M 1 r3 => transfer_differs phase
        forestall t3 A M 0 r3 => amount_zero
        forestall t3 A A 1 r3 => accounts_same
        forestall t3 A X 1 r3 => account_not_found credit
        forestall t3 A D 1 r3 => currency_unsupported
        """,
    "a hold that was forestalled is not placed, and cannot be captured": """
        account A floor KHR 100
        account M house KHR
        forestall h1 A M 80 r1 => posted
        --
        hold h1 A M 80 60 => reversed_first
        capture c1 h1 all => not_a_hold
        void v1 h1 => not_a_hold
        clear c1 h1 80 M => not_a_hold
        see A 100 0
        """,
    "what a forced post took is given back like any other": """
        account A floor KHR 30
        account M house KHR
        account S house KHR
        force f1 A M 50 S => posted 30 short 20
        --
        reverse r1 f1 31 => exceeds_original 30
        reverse r1 f1 all => posted 30
        --
        see A 30 0
        see M 20 0
        """,
}

TABLES = {**FORCED, **REVERSALS}


@pytest.mark.parametrize("name", TABLES)
async def test_the_book_answers(name: str, table: Table) -> None:
    await table.run(TABLES[name])
    await assert_books_right(table.works)
