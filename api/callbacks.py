"""The door of those whom we buy from: `/v1/callbacks`. They say that there is something to look at.

Promise: a message is taken only under a live secret of its provider, and nothing that it says of
the outcome is read: the named matter is looked up with the provider itself. A repeat is answered
as its first was. Who calls: the phone operators' aggregator.
"""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Router, post
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from api.resources import Resources
from api.security.callers import Connection
from api.throttling import RouteClass, address_in, throttled
from wallet import topups
from wallet.access import webhooks
from wallet.access.machines import Provider
from wallet.identifiers import TopupId
from wallet.outcomes import Reason, Refused


class _Named(Struct, frozen=True):
    """All that is read of a message: our own reference. The rest is the provider's business."""

    external_id: str


@post(
    "/operators",
    status_code=204,
    security=[{}],
    opt={"anonymous": True},
    summary="A phone operator tells that a top-up has news",
)
async def operators(request: Request[Any, Any, Any], resources: Resources) -> None:
    """Signed as Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""
    body = await request.body()
    headers = {name: request.headers.get(name, "") for name in _HEADERS}
    works, teller, vault = resources.works, resources.teller, resources.vault
    if not await webhooks.hear(works, teller, vault, Provider.OPERATORS, headers, body):
        return
    try:
        named = UUID(msgspec.json.decode(body, type=_Named).external_id)
    except ValueError:
        raise Refused(Reason.INVALID_REQUEST, field="external_id") from None
    await topups.hinted(works, TopupId(named))


async def _unhurried(connection: Connection, _: BaseRouteHandler) -> None:
    await throttled(connection, RouteClass.OPEN, address=address_in(connection.scope))


_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")

router: Final[Router] = Router("/v1/callbacks", route_handlers=[operators], guards=[_unhurried])
