"""Every decline of a purchase has its sentence, in both languages, and a next step."""

import pytest

from notifications.declines import DECLINES, explained
from wallet.outcomes import Reason

OF_THE_NETWORK = {
    Reason.CARD_UNKNOWN,
    Reason.MESSAGE_DIFFERS,
    Reason.ORIGINAL_NOT_FOUND,
    Reason.NOT_REVERSIBLE,
    Reason.EXCEEDS_ORIGINAL,
    Reason.ALREADY_REVERSED,
    Reason.CURRENCY_UNSUPPORTED,
    Reason.AMOUNT_ZERO,
}
"""What only a network hears: nothing a holder could do about."""


@pytest.mark.parametrize("reason", list(DECLINES), ids=lambda reason: reason.value)
def test_a_sentence_in_each_language(reason: Reason) -> None:
    why = DECLINES[reason]
    assert why.en.isascii()
    assert why.en.endswith(".")
    assert any("\u1780" <= letter <= "\u17ff" for letter in why.km)


def test_every_reason_of_a_card_or_its_controls_is_explained() -> None:
    told = {reason for reason in Reason if reason.value.endswith("_not_allowed")}
    told -= {Reason.METHOD_NOT_ALLOWED}
    told |= {
        reason
        for reason in Reason
        if reason.value.startswith("card_") and reason not in OF_THE_NETWORK
    }
    unsaid = told - set(DECLINES) - {Reason.CARD_LIMIT_REACHED, Reason.CARD_NOT_ACTIVE}
    assert not {r for r in unsaid if not r.value.startswith("card_claim")}


def test_a_reason_of_another_time_is_explained_too() -> None:
    assert explained("something_new").en == explained("card_unknown").en
