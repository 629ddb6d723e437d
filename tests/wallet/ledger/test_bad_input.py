"""Bad input at the book, reason by reason: each its own, and not a byte of any table changed."""

import pytest

from tests.behind import changed, every_table
from tests.wallet.ledger.table import Table
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.outcomes import Reason
from wallet.work import Works

GROUND = """
    account A floor KHR 100
    account B floor KHR
    account D floor USD 5
    account C floor KHR 5
    account F floor KHR 9223372036854770000
    account S house KHR
    account M house KHR
    close closing C S => posted
    --
    post paid A B 10 => posted
    --
    reverse given_back paid all => posted
    --
    post other A B 10 => posted
    hold open A B 10 600 => posted
    hold captured A B 10 600 => posted
    hold voided A B 10 600 => posted
    hold over A B 10 5 => posted
    hold expired A B 10 5 => posted
    capture captured_by captured 10 => posted
    void voided_by voided => posted
    --
    clock 5
    expire expired_by expired => posted
    """
BAD = {
    "unknown account, debit": ("post x X B 1", "account_not_found debit"),
    "unknown account, credit": ("post x A X 1", "account_not_found credit"),
    "unknown account, held for": ("hold x A X 1 60", "account_not_found credit"),
    "unknown account, closed": ("close x X S", "account_not_found debit"),
    "own account both sides": ("post x A A 1", "accounts_same"),
    "own account both sides, held": ("hold x A A 1 60", "accounts_same"),
    "own account both sides, balancing": ("most x A A 1 debit", "accounts_same"),
    "other currency of the receiver": ("post x A D 1", "currency_unsupported KHR"),
    "other currency of the amount": ("post x A B 1/USD", "currency_unsupported USD"),
    "other currency given back": ("reverse x other 1/USD", "currency_unsupported USD"),
    "other currency, forced": ("force x D B 1 S", "currency_unsupported USD"),
    "zero": ("post x A B 0", "amount_zero"),
    "zero, held": ("hold x A B 0 60", "amount_zero"),
    "zero, captured": ("capture x open 0", "amount_zero"),
    "zero, given back": ("reverse x other 0", "amount_zero"),
    "zero, forced": ("force x A B 0 S", "amount_zero"),
    "negative": ("post x A B -1", "amount_negative"),
    "negative, captured": ("capture x open -1", "amount_negative"),
    "negative, given back": ("reverse x other -1", "amount_negative"),
    "negative, forced": ("force x A B -1 S", "amount_negative"),
    "beyond int64": ("post x A B 9223372036854775808", "amount_too_large"),
    "beyond int64, held": ("hold x A B 9223372036854775808 60", "amount_too_large"),
    "beyond int64, captured": ("capture x open 9223372036854775808", "amount_too_large"),
    "beyond int64, given back": ("reverse x other 9223372036854775808", "amount_too_large"),
    "beyond int64 below zero": ("post x A B -9223372036854775809", "amount_negative"),
    "beyond int64 in the sum": ("post x M F 6000", "balance_too_large"),
    "closed, from": ("post x C B 1", "account_closed debit"),
    "closed, to": ("post x A C 1", "account_closed credit"),
    "closed, held for": ("hold x A C 1 60", "account_closed credit"),
    "closed, again": ("close x C S", "account_closed debit"),
    "expired hold, captured": ("capture x over 10", "hold_expired"),
    "expired hold, voided": ("void x over", "hold_expired"),
    "expired hold, swept and captured": ("capture x expired 10", "hold_expired"),
    "a hold that lasts no time": ("hold x A B 1 0", "hold_expired"),
    "expired too early": ("expire x open", "hold_not_yet_expired"),
    "double resolution, captured twice": ("capture x captured 10", "hold_already_captured"),
    "double resolution, voided after": ("void x captured", "hold_already_captured"),
    "double resolution, captured after": ("capture x voided 10", "hold_already_voided"),
    "double resolution, voided twice": ("void x voided", "hold_already_voided"),
    "more than was held": ("capture x open 11", "exceeds_hold"),
    "wrong pending id, of nothing": ("capture x nothing 10", "hold_not_found"),
    "wrong pending id, of nothing, voided": ("void x nothing", "hold_not_found"),
    "wrong pending id, of a posted transfer": ("capture x paid 10", "not_a_hold"),
    "wrong pending id, of a capture": ("void x captured_by", "not_a_hold"),
    "wrong pending id, of a reversal": ("expire x given_back", "not_a_hold"),
    "wrong original, of nothing": ("reverse x nothing all", "original_not_found"),
    "wrong original, a hold": ("reverse x open all", "not_reversible hold"),
    "wrong original, a void": ("reverse x voided_by all", "not_reversible void"),
    "given back before": ("reverse x paid all", "already_reversed"),
    "more than was taken": ("reverse x other 11", "exceeds_original 10"),
    "cycle, a capture of itself": ("capture open open 10", "link_to_itself"),
    "cycle, a void of itself": ("void open open", "link_to_itself"),
    "cycle, a reversal of itself": ("reverse other other all", "link_to_itself"),
    "cycle, of two: a reversal given back": ("reverse x given_back all", "not_reversible posted"),
    "cycle, a tombstone of itself": ("forestall x A B 10 x", "link_to_itself"),
    "cycle, a clearing of itself": ("clear open open 10 S", "link_to_itself"),
    "a chain without an end": ("+post x A B 1", "linked_chain_open"),
    "not enough": ("post x B A 101", "insufficient_funds"),
    "nothing there to take": ("most x C M 5 debit", "account_closed debit"),
    "an id of something else": ("post paid A B 11", "transfer_differs amount"),
}


@pytest.fixture
async def table(works: Works, clock: TurnedClock) -> Table:
    made = Table(works, clock)
    await made.run(GROUND)
    return made


async def test_bad_input_has_its_own_reason_and_changes_not_a_byte(
    table: Table, database: Database
) -> None:
    """One by one, and then all of it in one group: neither leaves a trace."""
    before = await every_table(database)
    for what, (asked, reason) in BAD.items():
        await table.run(f"{asked} => {reason}")
        assert not changed(before, await every_table(database)), what
    lines = [f"{asked} => {reason}" for asked, reason in BAD.values() if asked[0] != "+"]
    await table.run("\n".join(lines))
    assert not changed(before, await every_table(database))
    await table.run("post x A B 1 => posted")
    assert changed(before, await every_table(database)) == {"accounts", "transfers"}


def test_the_reasons_are_many_and_each_is_of_the_catalogue() -> None:
    reasons = {Reason(reason.split()[0]) for _, reason in BAD.values()}
    assert len(reasons) >= 22
