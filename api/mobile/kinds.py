"""Every kind of intent a phone may ask for, each with its two lanes of the teller.

Promise: one table, made once for the application; a kind that is not in it does not exist.
Who calls: the intents of the mobile door, and nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from litestar import Litestar

from api.resources import Resources
from wallet import cards, controls, exchange, qr, topups
from wallet.access import authenticator, devices
from wallet.access.intents import (
    Asked,
    Authorising,
    IntentKind,
    authorise_lane,
    prepare_lane,
)
from wallet.authorisations.confirming import CONFIRM
from wallet.cards import rows
from wallet.identifiers import CardId
from wallet.outcomes import Reason, Refused
from wallet.teller import Lane
from wallet.work import Work


@dataclass(frozen=True, slots=True)
class Lanes:
    """A kind with the lanes its intents are prepared and authorised in."""

    kind: IntentKind
    prepare: Lane[Asked]
    authorise: Lane[Authorising]


class Kinds:
    """The table, for one application."""

    def __init__(self, resources: Resources) -> None:
        vault, step_up = resources.vault, resources.policy.step_up
        offered = (
            qr.PAY,
            topups.BUY,
            exchange.EXCHANGE,
            *cards.kinds(resources.issuing),
            *controls.kinds(_owners),
            CONFIRM,
            authenticator.enrol_kind(vault),
            authenticator.confirm_kind(vault),
            devices.REVOKE,
        )
        self._by_name = {
            kind.name: Lanes(kind, prepare_lane(kind), authorise_lane(kind, vault))
            for kind in map(step_up.applied, offered)
        }

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._by_name)

    def named(self, name: str) -> Lanes:
        """Refuses: INTENT_KIND_UNKNOWN."""
        lanes = self._by_name.get(name)
        if lanes is None:
            raise Refused(Reason.INTENT_KIND_UNKNOWN)
        return lanes


async def _owners(work: Work, card_ids: Sequence[CardId]) -> dict[CardId, controls.OwnedCard]:
    """Whose cards these are, for the controls, which know no card themselves."""
    return {
        card.id: controls.OwnedCard(
            holder_id=card.holder_id, last_four=card.last_four, lineage=card.lineage
        )
        for card in (await rows.by_ids(work, card_ids)).values()
    }


def kinds_of(app: Litestar) -> Kinds:
    """The table of this application."""
    state = app.state
    if "kinds" not in state:
        state.kinds = Kinds(state.resources)
    kinds: Kinds = state.kinds
    return kinds
