"""What every act of the ATM door shares: the card in the reader, whose books, what the screen says.

Promise: a decline carries the name of its screen and its text in both languages, for whatever the
host's own screens do not cover. Who calls: the modules of this door.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from api.problems import answered
from api.resources import Resources
from api.security import AtmCaller
from api.wire import Body
from wallet.access.unlocking import Machine
from wallet.cards.at_machine import Standing
from wallet.cards.presented import InReader, books_for
from wallet.cards.screens import TEXTS, Screen
from wallet.identifiers import BankId, Secret
from wallet.outcomes import Declined, Outcome

SmartIdNumber = Annotated[str, Meta(pattern="^[0-9]{16}$", description="As read from the chip.")]


class CardInReader(Body, frozen=True, kw_only=True):
    """The Smart ID in the machine. `pin_verified`: the bank's HSM has checked the PIN block
    against this very card; the block itself does not come here."""

    smart_id_number: SmartIdNumber
    pin_verified: bool

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class OnScreen(Struct, frozen=True, kw_only=True):
    """What the machine may show: a name for the host's own screens, or these texts."""

    screen: Annotated[str, Meta(examples=["claim_in_the_app"])]
    screen_en: Annotated[str, Meta(examples=["Your card is ready. Open the app."])]
    screen_km: Annotated[str, Meta(examples=["កាតរបស់អ្នករួចរាល់ហើយ។ សូមបើកកម្មវិធី។"])]


def screen_of(screen: Screen) -> OnScreen:
    text = TEXTS[screen]
    return OnScreen(screen=screen.value, screen_en=text.en, screen_km=text.km)


def answered_at(outcome: Outcome) -> dict[str, Any]:
    """The answer of a `Done`; a `Declined` leaves as a problem, with the words for the screen."""
    if isinstance(outcome, Declined) and "screen" in outcome.facts:
        shown = screen_of(Screen(str(outcome.facts["screen"])))
        words = {"screen_en": shown.screen_en, "screen_km": shown.screen_km}
        outcome = Declined(reason=outcome.reason, facts={**outcome.facts, **words})
    return answered(outcome)


def books(resources: Resources, caller: AtmCaller, number: str | None) -> BankId:
    """The bank in whose books this is decided."""
    return books_for(resources.issuing.rules, caller.bank, number or "")


def standing(resources: Resources, caller: AtmCaller, data: CardInReader) -> Standing:
    """The card in the reader of this caller's machine."""
    return Standing(
        vault=resources.vault,
        card=InReader(number=Secret(data.smart_id_number), pin_verified=data.pin_verified),
        machine=Machine(acquirer=caller.bank, terminal=caller.terminal),
    )
