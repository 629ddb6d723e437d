"""The door of the banks' ATM hosts: `/v1/atm`. Every request is signed, and so is every answer.

Who calls: the application frame. Each module brings its `HANDLERS`.
"""

from typing import Final

from litestar import Router

from api.atm import cards, inquiries, pairings, phones
from api.security import atm_door

router: Final[Router] = atm_door(
    "/v1/atm",
    [*pairings.HANDLERS, *phones.HANDLERS, *cards.HANDLERS, *inquiries.HANDLERS],
)
