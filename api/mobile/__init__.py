"""The phones' door: `/v1/mobile`. Each module brings its `HANDLERS`; here they become one router.

Promise: every handler is behind a holder's session unless it says otherwise itself.
Who calls: the application frame.
"""

from typing import Final

from litestar import Router

from api.mobile import (
    accounts,
    card_art,
    cards,
    controls,
    disputes,
    inbox,
    intents,
    pairings,
    privacy,
    purchases,
    push,
    qr,
    receipts,
    sessions,
    statements,
    topups,
)
from api.security import holder_door

EXPRESS: Final = intents.EXPRESS
"""What of this door the frame serves without the framework's middle."""

router: Final[Router] = holder_door(
    "/v1/mobile",
    [
        *pairings.HANDLERS,
        *sessions.HANDLERS,
        *push.HANDLERS,
        *intents.HANDLERS,
        *accounts.HANDLERS,
        *receipts.HANDLERS,
        *statements.HANDLERS,
        *cards.HANDLERS,
        *controls.HANDLERS,
        *purchases.HANDLERS,
        *card_art.HANDLERS,
        *qr.HANDLERS,
        *topups.HANDLERS,
        *disputes.HANDLERS,
        *inbox.HANDLERS,
        *privacy.HANDLERS,
    ],
)
