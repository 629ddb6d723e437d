"""Scripts on single keys of Redis, called in batches: who calls while an answer is on its way
shares the next round trip.

Promise: every call is sent once and never again, for a try at a code counts where it arrives; each
is a command of its own in the pipeline, so that one that fails is one that fails. What a call costs
this process is mostly the round trip: shared by twenty, a tenth.

Who calls: throttle.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError

TOGETHER_AT_MOST: Final = 256


class _Call(NamedTuple):
    script: Any
    key: str
    args: Sequence[bytes | str | int]
    answer: "asyncio.Future[Any]"


class Calls:
    """The script calls of one process to one Redis."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._waiting: list[_Call] = []
        self._running: asyncio.Task[None] | None = None

    def call(
        self, script: Any, key: str, args: Sequence[bytes | str | int]
    ) -> "asyncio.Future[Any]":
        """What a registered script answers for this key. Raises what Redis or the wire to it does,
        in the future."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(script, key, args, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._serve())
        return answer

    async def _serve(self) -> None:
        while self._waiting:
            batch = self._waiting[:TOGETHER_AT_MOST]
            self._waiting = self._waiting[TOGETHER_AT_MOST:]
            try:
                answers = await self._sent(batch)
            except BaseException as error:  # told to those who wait: nobody else would hear of it
                answers = [error] * len(batch)
                if not isinstance(error, Exception):
                    _tell(batch, answers)
                    raise
            _tell(batch, answers)

    async def _sent(self, batch: Sequence[_Call]) -> Sequence[Any]:
        answers = await self._piped(batch)
        unknown = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            # a server that has restarted knows no scripts: these calls did nothing there
            again = [batch[at] for at in unknown]
            for script in {call.script for call in again}:
                await self._redis.script_load(script.script)
            for at, answer in zip(unknown, await self._piped(again), strict=True):
                answers[at] = answer
        return answers

    async def _piped(self, batch: Sequence[_Call]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for script, key, args, _ in batch:
            pipe.evalsha(script.sha, 1, key, *args)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers


def _tell(batch: Sequence[_Call], answers: Sequence[Any]) -> None:
    for call, answer in zip(batch, answers, strict=True):
        if call.answer.done():
            continue
        if isinstance(answer, BaseException):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)
