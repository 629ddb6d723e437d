"""The door of an imagined card network: `/v1/sim`, for the demo and for tests.

Promise: it exists only where the setting says so, and never in production: there the frame makes no
route of it. Who calls: demonstrations, simulators, tests.
"""

from typing import Final

from litestar import Router

from api.sim import faults, messages, time, tokens

HANDLERS: Final = [
    *messages.HANDLERS,
    *tokens.HANDLERS,
    *faults.HANDLERS,
    *time.HANDLERS,
]

router: Final[Router] = Router("/v1/sim", route_handlers=HANDLERS, tags=["sim"])
