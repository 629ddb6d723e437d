"""The API as an ASGI application: what each of Granian's worker processes runs.

Promise: resources are opened when the process starts and closed when it stops; a process that
cannot have them says so and does not serve; it dies with the server that started it. Called by
Granian, as the factory `runtime.asgi:create`.
"""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Final

from api.app import create_app
from api.resources import Resources
from runtime import logs, settings
from runtime.children import die_with_parent
from runtime.resources import open_resources
from runtime.settings import Settings
from wallet.database import CONNECTION_LOST

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

_PATIENCE_S: Final = 20.0
_LOOK_AGAIN_S: Final = 0.3

_log = logging.getLogger("smartid.api")


def create() -> "Door":
    """The application of this process, by the settings in its environment."""
    die_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # the server died before the kernel knew our wish
    logs.set_up()
    return Door(settings.read())


def _tidy_memory() -> None:
    """What stands after start-up stays for good: looking through it again and again for cycles
    would cost every request about a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


class Door:
    """Opens the resources around the framework's own life, then hands every request on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Application | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            async with AsyncExitStack() as stack:
                resources = await self._open(stack)
                # Litestar names each kind of message; here they are only handed on.
                app: Any = create_app(resources)
                self._app = app
                _tidy_memory()
                await app(scope, receive, send)
        except Exception as error:
            if self._app is not None:
                raise
            # Without this answer the server would believe all is well and serve nothing.
            _log.error("the API cannot start: %s", error)
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})

    async def _open(self, stack: AsyncExitStack) -> Resources:
        """The resources; a server that is only just coming up is given a moment."""
        ends = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return await stack.enter_async_context(open_resources(self._settings))
            except CONNECTION_LOST as error:
                if time.monotonic() > ends:
                    raise
                _log.warning("the API waits for its servers: %s", type(error).__name__)
                await asyncio.sleep(_LOOK_AGAIN_S)
