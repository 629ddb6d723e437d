"""What the holder was told: the inbox page by page, and live as it happens.

Promise: the stream sends what the inbox holds, in its order, each entry once, from the place the
client names; a wake-up only makes it sooner, so that with Redis gone entries still come at each
heartbeat. It ends by itself after at most four minutes: the client comes back, with its session
looked at afresh. Who calls: the app.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from msgspec import Meta, Struct

from api.resources import Policy, Resources
from api.security import HolderCaller
from api.wire import PAGE, Cursor, Limit, Page, page_of, read_cursor
from notifications import inbox
from notifications.inbox import InboxEntry
from notifications.live import Listeners
from wallet.outcomes import Refused
from wallet.work import Works

RECONNECT_MS: Final = 1_000
AT_ONCE: Final = 100
"""Entries read for a stream in one go."""

LastSeen = Annotated[
    int | None,
    Parameter(
        header="Last-Event-ID",
        ge=0,
        le=2**63 - 1,
        description="The id last seen; without it only what is new from now on is sent.",
    ),
]


class Notice(Struct, frozen=True, kw_only=True):
    """One thing the holder was told, in the language they read now."""

    id: Annotated[int, Meta(description="Grows with each entry.", examples=[41])]
    kind: Annotated[str, Meta(examples=["salary.paid"])]
    title: Annotated[str, Meta(examples=["Salary received"])]
    text: Annotated[str, Meta(examples=["Salary 2026-01/1: 1,309,477 KHR to account ••0017."])]
    at: datetime


@get("/inbox", summary="What I was told, newest first")
async def entries(
    caller: HolderCaller, resources: Resources, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[Notice]:
    key = read_cursor(cursor, tuple[int])
    before = key[0] if key else None
    found = await resources.works.read(
        caller.actor,
        caller.bank,
        lambda work: inbox.newest(
            work, caller.holder_id, caller.language, before=before, limit=limit + 1
        ),
    )
    page = page_of(found, limit, lambda entry: (entry.id,))
    return Page(items=[_shown(entry) for entry in page.items], next=page.next)


@get(
    "/stream",
    summary="What I am told, as it happens",
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            data_container=Notice,
            generate_examples=False,
            media_type="text/event-stream",
            description="Server-sent events: `id` is the entry's, `data` the entry as JSON.",
        )
    },
)
async def stream(
    request: Request[Any, Any, Any],
    caller: HolderCaller,
    resources: Resources,
    last_seen: LastSeen = None,
) -> ServerSentEvent:
    """A comment at least every 15 seconds; ends after 4 minutes at most, to be opened again with
    `Last-Event-ID`. The first message names the place the stream starts at."""
    after = last_seen
    if after is None:
        after = await resources.works.read(
            caller.actor, caller.bank, lambda work: inbox.last_id(work, caller.holder_id)
        )
    listeners: Listeners = request.app.state.listeners
    return ServerSentEvent(
        told(
            resources.works,
            listeners,
            caller,
            request.app.state.recognition.stands,
            after=after,
            policy=resources.policy,
        )
    )


async def told(
    works: Works,
    listeners: Listeners,
    caller: HolderCaller,
    stands: Callable[[HolderCaller], Awaitable[bool]],
    *,
    after: int,
    policy: Policy,
) -> AsyncIterator[ServerSentEventMessage]:
    """The messages of one live stream, from the entry after `after` on."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + policy.stream_life_s
    woken = listeners.listen(caller.holder_id)
    try:
        # Its id is the client's Last-Event-ID even if nothing else comes before the line breaks.
        yield ServerSentEventMessage(
            data=None, id=after, retry=RECONNECT_MS, comment="from here on"
        )
        while True:
            # Cleared before looking: whatever is kept after the look sets it again.
            woken.clear()
            for entry in await _unsent(works, caller, after):
                yield _message(entry)
                after = entry.id
                woken.set()
            # what was told of the session's end goes out first; then the line ends with it
            if not await stands(caller):
                return
            left = ends_at - loop.time()
            if left <= 0 or listeners.closed:
                return
            try:
                async with asyncio.timeout(min(policy.stream_heartbeat_s, left)):
                    await woken.wait()
            except TimeoutError:
                yield ServerSentEventMessage(data=None, comment="still here")
    except Refused:
        # PostgreSQL is away: the client comes back to a door that says so.
        return
    finally:
        listeners.leave(caller.holder_id, woken)


async def _unsent(works: Works, caller: HolderCaller, after: int) -> list[InboxEntry]:
    return await works.read(
        caller.actor,
        caller.bank,
        lambda work: inbox.since(
            work, caller.holder_id, caller.language, after=after, limit=AT_ONCE
        ),
    )


def _message(entry: InboxEntry) -> ServerSentEventMessage:
    return ServerSentEventMessage(
        id=entry.id, data=msgspec.json.encode(_shown(entry)).decode("utf-8")
    )


def _shown(entry: InboxEntry) -> Notice:
    return Notice(id=entry.id, kind=entry.kind, title=entry.title, text=entry.text, at=entry.at)


HANDLERS: Final[list[Any]] = [entries, stream]
