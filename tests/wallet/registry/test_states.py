"""The Smart ID's two states, as tables: what is not in them does not happen."""

import itertools
from datetime import date

import pytest

from tests.wallet.registry.cards import card
from wallet.outcomes import Reason, Refused
from wallet.registry.applications import MAY_BECOME as APPLICATION_MAY_BECOME
from wallet.registry.applications import ApplicationState, decide_step
from wallet.registry.states import (
    IDENTITY_MAY_BECOME,
    PAYMENT_MAY_BECOME,
    IdentityState,
    Party,
    PaymentState,
    decide_block,
    decide_freeze,
    decide_identity,
    decide_unfreeze,
    expiry_of,
)

IDENTITY_TABLE = """
APPLIED       CHECKED REVOKED
CHECKED       SENT_TO_BANK REVOKED
SENT_TO_BANK  PRINTED REVOKED
PRINTED       WITH_AGENCY SENT_TO_BANK REVOKED
WITH_AGENCY   HANDED_OVER SENT_TO_BANK REVOKED
HANDED_OVER   VALID WITH_AGENCY REVOKED
VALID         EXPIRED REVOKED
EXPIRED
REVOKED
"""

PAYMENT_TABLE = """
INACTIVE      ACTIVE BLOCKED
ACTIVE        FROZEN BLOCKED
FROZEN        ACTIVE BLOCKED
BLOCKED
"""

APPLICATION_TABLE = """
APPLIED       CHECKED REJECTED
CHECKED       SENT_TO_BANK REJECTED
SENT_TO_BANK  PRINTED REJECTED
PRINTED       WITH_AGENCY SENT_TO_BANK
WITH_AGENCY   HANDED_OVER SENT_TO_BANK
HANDED_OVER   WITH_AGENCY
REJECTED
"""


def _read(table: str) -> dict[str, set[str]]:
    return {line.split()[0]: set(line.split()[1:]) for line in table.strip().splitlines()}


def test_the_tables_are_the_promised_ones() -> None:
    def plain(table) -> dict[str, set[str]]:
        return {now.value: {to.value for to in after} for now, after in table.items()}

    assert plain(IDENTITY_MAY_BECOME) == _read(IDENTITY_TABLE)
    assert plain(PAYMENT_MAY_BECOME) == _read(PAYMENT_TABLE)
    assert plain(APPLICATION_MAY_BECOME) == _read(APPLICATION_TABLE)


@pytest.mark.parametrize(("now", "to"), list(itertools.product(IdentityState, IdentityState)))
def test_every_step_of_an_identity_is_either_in_the_table_or_refused(
    now: IdentityState, to: IdentityState
) -> None:
    before = card(now, PaymentState.INACTIVE)
    if to.value in _read(IDENTITY_TABLE)[now.value]:
        assert decide_identity(before, to).identity_state is to
    else:
        with pytest.raises(Refused) as caught:
            decide_identity(before, to)
        assert caught.value.reason is Reason.ILLEGAL_TRANSITION


@pytest.mark.parametrize(("now", "to"), list(itertools.product(ApplicationState, ApplicationState)))
def test_every_step_of_an_application_is_either_in_the_table_or_refused(
    now: ApplicationState, to: ApplicationState
) -> None:
    if to.value in _read(APPLICATION_TABLE)[now.value]:
        decide_step(now, to)
    else:
        with pytest.raises(Refused) as caught:
            decide_step(now, to)
        assert caught.value.reason is Reason.ILLEGAL_TRANSITION


def test_a_valid_card_pays_and_an_ended_one_does_not() -> None:
    handed = card(IdentityState.HANDED_OVER, PaymentState.INACTIVE)
    valid = decide_identity(handed, IdentityState.VALID)

    assert valid.payment_state is PaymentState.ACTIVE
    for end in (IdentityState.EXPIRED, IdentityState.REVOKED):
        assert decide_identity(valid, end).payment_state is PaymentState.BLOCKED
    frozen = decide_freeze(valid, Party.HOLDER)
    ended = decide_identity(frozen, IdentityState.REVOKED)
    assert (ended.payment_state, ended.frozen_by) == (PaymentState.BLOCKED, None)


@pytest.mark.parametrize("by", Party)
def test_no_act_on_payment_touches_the_identity(by: Party) -> None:
    valid = card()
    frozen = decide_freeze(valid, by)

    assert frozen.identity_state is IdentityState.VALID
    assert decide_unfreeze(frozen, by).identity_state is IdentityState.VALID
    assert decide_block(valid, Party.BANK).identity_state is IdentityState.VALID


@pytest.mark.parametrize(("froze", "lifts"), list(itertools.product(Party, Party)))
def test_a_freeze_is_lifted_by_who_froze_it_or_by_a_stronger_party(
    froze: Party, lifts: Party
) -> None:
    order = [Party.HOLDER, Party.SUPPORT, Party.BANK]
    frozen = decide_freeze(card(), froze)
    if order.index(lifts) >= order.index(froze):
        assert decide_unfreeze(frozen, lifts).payment_state is PaymentState.ACTIVE
    else:
        with pytest.raises(Refused) as caught:
            decide_unfreeze(frozen, lifts)
        assert caught.value.reason is Reason.FORBIDDEN


def test_a_stronger_party_takes_a_freeze_over_and_a_weaker_one_does_not() -> None:
    by_holder = decide_freeze(card(), Party.HOLDER)
    by_bank = decide_freeze(by_holder, Party.BANK)

    assert by_bank.frozen_by is Party.BANK
    assert decide_freeze(by_bank, Party.HOLDER) == by_bank


@pytest.mark.parametrize("state", [PaymentState.INACTIVE, PaymentState.BLOCKED])
def test_what_does_not_pay_is_neither_frozen_nor_unfrozen(state: PaymentState) -> None:
    for decide in (decide_freeze, decide_unfreeze):
        with pytest.raises(Refused) as caught:
            decide(card(payment=state), Party.BANK)
        assert caught.value.reason is Reason.SMART_ID_NOT_ACTIVE


def test_the_holder_does_not_block_for_good() -> None:
    with pytest.raises(Refused) as caught:
        decide_block(card(), Party.HOLDER)
    assert caught.value.reason is Reason.FORBIDDEN


def test_ten_years_from_any_day() -> None:
    assert expiry_of(date(2022, 12, 28)) == date(2032, 12, 28)
    assert expiry_of(date(2024, 2, 29)) == date(2034, 2, 28)
