"""The teller: serves concurrent callers in groups, one transaction a group, one answer each.

Promise: what callers ask while the previous group commits is gathered (no timers), at most
`GROUP_MOST` to a group, and runs as one Work of one bank. A group that fails for one member's
sake is run again one by one, so nobody pays for a neighbour. Groups take turns by their lane's
priority (`turns`), bulk work last. Where a lane says what its requests are about, and a whole
group waits, a second group runs beside the first: of others' requests, so that neither waits for
the other's locks, and what is about the same stays in order. The queue is bounded by number and by
age: whoever would not be served within their lane's patience hears "busy, retry after" instead,
and nothing was begun.

    asked -> queued -> in a group -> answered          (Done, Declined, or Refused raised)
          -> Refused busy (queue full, or its first has waited too long)
             queued -> Refused busy (waited too long for a group)
                       in a group -> group failed -> alone -> answered

Who calls: doors and the worker; lanes are declared by the rooms whose acts they run.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from typing import Any, Final, Generic, TypeVar

from wallet.identifiers import BankId
from wallet.outcomes import GroupAnswer, Outcome, Reason, Refused
from wallet.turns import PLACES, Priority, Turns
from wallet.work import SYSTEM, ActorKind, Work, Works

Q = TypeVar("Q")
Waiting = tuple[Any, asyncio.Future[Outcome], float]
"""A request, its answer to be, and when it was asked, by the event loop's clock."""
Group = Sequence[Waiting]
GroupAct = Callable[[Work, Sequence[Any]], Awaitable[Sequence[GroupAnswer]]]

GROUP_MOST: Final = 512
QUEUE_MOST: Final = 4096
ABREAST: Final = 2
"""Groups of one lane at once: one decides while the other is being written."""
PATIENCE_S: Final = 2.0
"""How long a caller waits for a group: beyond it they have given up, or ask again anyhow, and what
is done for them is done in vain."""
FIRST_STEP_S: Final = 1.0
"""Of an act in two steps the first is turned away sooner, so that who was let in gets through."""
UNTIL_SERVED: Final = math.inf
"""The patience of what must not be turned away once it was let in: what undoes money, and the
worker's own answers, whose callers wait for ever."""


class Lane(Generic[Q]):
    """One kind of act served in groups. `act` answers every request, in order; the group stands
    behind the wall of the kind of `caller` it is served for. Nobody waits longer than `patience_s`
    for a group to begin. `about` names what a request will lock: what two have in common keeps
    them from running in two groups at once."""

    def __init__(
        self,
        name: str,
        act: Callable[[Work, Sequence[Q]], Awaitable[Sequence[GroupAnswer]]],
        *,
        group_most: int = GROUP_MOST,
        priority: Priority = Priority.PAYMENT,
        caller: ActorKind = ActorKind.SYSTEM,
        patience_s: float = PATIENCE_S,
        about: Callable[[Q], Collection[Hashable]] | None = None,
    ) -> None:
        self.name = name
        self.patience_s = patience_s
        self.caller = caller
        self.act: GroupAct = act
        self.priority = priority
        self.group_most = group_most
        self.about: Callable[[Any], Collection[Hashable]] | None = about


class _Queue:
    """The callers waiting in one lane of one bank, and what the groups under way are about."""

    __slots__ = ("held", "serving", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Waiting] = deque()
        self.serving: set[asyncio.Task[None]] = set()
        self.held: set[Hashable] = set()

    def take(self, lane: Lane[Any], most: int) -> tuple[list[Waiting], set[Hashable]]:
        """The next group, in order, and what it is about: without what is about the same as a
        group under way, or as what has to wait for one."""
        if lane.about is None:
            return [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))], set()
        group: list[Waiting] = []
        passed: list[Waiting] = []
        ours: set[Hashable] = set()
        theirs = set(self.held)
        while self.waiting and len(group) < most:
            one = self.waiting.popleft()
            about = lane.about(one[0])
            if theirs.isdisjoint(about):
                group.append(one)
                ours.update(about)
            else:
                passed.append(one)
                theirs.update(about)
        self.waiting.extendleft(reversed(passed))
        return group, ours

    def wants_another(self, lane: Lane[Any], most: int) -> bool:
        """Whether a group more is to run: none does, or what waits would fill one."""
        running = sum(not task.done() for task in self.serving)
        if running == 0:
            return True
        return lane.about is not None and running < ABREAST and len(self.waiting) >= most

    def turn_away(self, asked_before: float) -> None:
        """Tell whoever was asked before that moment and still waits that it is busy."""
        waiting = self.waiting
        while waiting and waiting[0][2] < asked_before:
            _, answer, _ = waiting.popleft()
            if not answer.done():
                answer.set_exception(Refused(Reason.BUSY, retry_after_s=1))


class Teller:
    """Serves lanes on one process's Works. `grouping=False` commits one by one (benchmarks)."""

    def __init__(
        self,
        works: Works,
        *,
        queue_most: int = QUEUE_MOST,
        grouping: bool = True,
        places: int = PLACES,
    ) -> None:
        self._works = works
        self._queue_most = queue_most
        self._grouping = grouping
        self._turns = Turns(places)
        self._queues: dict[tuple[str, BankId | None], _Queue] = {}
        self._closing = False

    async def ask(self, lane: Lane[Q], bank: BankId | None, request: Q) -> Outcome:
        """Answer one request, grouped with whoever else is asking.

        Refuses: busy when the queue is full or too slow or the teller is closing, before anything
        was begun; what the act refuses.
        """
        queue = self._queues.setdefault((lane.name, bank), _Queue())
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = queue.waiting
        if (
            self._closing
            or len(waiting) >= self._queue_most
            or (waiting and now - waiting[0][2] > lane.patience_s)
        ):
            raise Refused(Reason.BUSY, retry_after_s=1)
        answer: asyncio.Future[Outcome] = loop.create_future()
        waiting.append((request, answer, now))
        if queue.wants_another(lane, self._most(lane)):
            task = asyncio.create_task(self._serve(lane, bank, queue))
            queue.serving.add(task)
            task.add_done_callback(queue.serving.discard)
        # Shielded by being its own task: a caller that goes away does not stop its group.
        return await answer

    async def ask_group(
        self, lane: Lane[Q], bank: BankId | None, requests: Sequence[Q]
    ) -> list[GroupAnswer]:
        """Answer a ready-made group in one Work (bulk), or one by one when it fails as a group."""
        async with self._turns.turn(lane.priority):
            return await self._group_or_alone(lane, bank, requests)

    async def close(self) -> None:
        """Answer everyone already waiting, take nobody new."""
        self._closing = True
        running = [task for queue in self._queues.values() for task in queue.serving]
        await asyncio.gather(*running, return_exceptions=True)

    def _most(self, lane: Lane[Any]) -> int:
        return lane.group_most if self._grouping else 1

    async def _serve(self, lane: Lane[Any], bank: BankId | None, queue: _Queue) -> None:
        most = self._most(lane)
        while queue.waiting:
            async with self._turns.turn(lane.priority):
                # Gathered only now: whoever came while this lane waited for its turn is in it.
                queue.turn_away(asyncio.get_running_loop().time() - lane.patience_s)
                group, about = queue.take(lane, most)
                if not group:
                    return  # nobody has waited in vain: the rest waits for the group beside
                queue.held |= about
                try:
                    await self._serve_group(lane, bank, group)
                finally:
                    queue.held -= about

    async def _serve_group(self, lane: Lane[Any], bank: BankId | None, group: Group) -> None:
        try:
            answers = await self._group_or_alone(lane, bank, [request for request, _, _ in group])
        except BaseException as error:
            _answer_all(group, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, waiting, _), answer in zip(group, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, BaseException):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def _group_or_alone(
        self, lane: Lane[Any], bank: BankId | None, requests: Sequence[Any]
    ) -> list[GroupAnswer]:
        try:
            return await self._run(lane, bank, requests)
        except Refused as refused:
            if len(requests) == 1:
                return [refused]
            # The server's own state, not a member's: asking again one by one would only add load.
            if refused.reason in (Reason.UNAVAILABLE, Reason.OUTCOME_UNKNOWN):
                raise
        except Exception:
            if len(requests) == 1:
                raise
        answers: list[GroupAnswer] = []
        for request in requests:
            answers.append(await self._alone(lane, bank, request))
        return answers

    async def _alone(self, lane: Lane[Any], bank: BankId | None, request: Any) -> GroupAnswer:
        try:
            return (await self._run(lane, bank, [request]))[0]
        except Refused as refused:
            return refused
        except Exception as error:
            internal = Refused(Reason.INTERNAL)
            internal.__cause__ = error
            return internal

    async def _run(
        self, lane: Lane[Any], bank: BankId | None, requests: Sequence[Any]
    ) -> list[GroupAnswer]:
        async def act(work: Work) -> list[GroupAnswer]:
            answers = list(await lane.act(work, requests))
            if len(answers) != len(requests):
                raise AssertionError(f"lane {lane.name} answered {len(answers)}/{len(requests)}")
            return answers

        return await self._works.perform(SYSTEM, bank, act, as_caller=lane.caller)


def _answer_all(group: Group, error: BaseException) -> None:
    for _, waiting, _ in group:
        if not waiting.done():
            waiting.set_exception(
                error if isinstance(error, Exception) else Refused(Reason.UNAVAILABLE)
            )
