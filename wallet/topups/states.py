"""The states of a top-up and what an answer of the provider makes of them. Pure.

Who calls: delivering (and buying, for the first state).
"""

import enum
from datetime import timedelta
from typing import Final

from msgspec import Struct

from wallet.topups.operators import (
    AlreadyUsed,
    Answer,
    Delivered,
    Failure,
    NotDelivered,
    NotFound,
    NotSent,
    Open,
    TakenBack,
    Unknown,
)


class State(enum.StrEnum):
    """Where a top-up stands; the table is in the package's docstring."""

    HELD = "HELD"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REVERSED = "REVERSED"
    RECOVERY = "RECOVERY"


IN_DOUBT: Final = frozenset({State.SENT, State.UNKNOWN})
UNRESOLVED: Final = IN_DOUBT | {State.HELD}


class Move(enum.Enum):
    """What happens to the money with a change of state."""

    CAPTURE = "capture"
    RELEASE = "release"
    RETURN = "return"
    RECOVER = "recover"


class Patience(Struct, frozen=True, kw_only=True):
    """How long each thing is waited for, in seconds.

    `grace_s`: a reference still not found this long after sending was never received. It must be
    longer than `sending_s` and the adapter's time-out together, or a slow call is given up on.
    `sending_s`: a process that slept this long between marking and calling no longer calls.
    `give_up_s`: the holder has the money back within a day, whatever the operator says (story A5).
    `pauses_s`: between look-ups; the last repeats. `rechecks_s`: looks after an ending, for
    airtime delivered late or taken back.
    """

    grace_s: float = 60.0
    sending_s: float = 10.0
    give_up_s: float = 20 * 3600.0
    pauses_s: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 120.0, 300.0)
    rechecks_s: tuple[float, ...] = (900.0, 86_400.0)

    def __post_init__(self) -> None:
        if not self.sending_s < self.grace_s < self.give_up_s < HOLD_FOR.total_seconds():
            raise ValueError("patience must grow: sending, grace, giving up, the hold's own expiry")

    def pause_after(self, lookups: int) -> timedelta:
        """The pause before the next look-up when `lookups` have been made."""
        return timedelta(seconds=self.pauses_s[min(lookups, len(self.pauses_s) - 1)])


HOLD_FOR: Final = timedelta(hours=72)
"""A hold outlives every wait above, so the top-up's own state decides and never the expiry."""


class Decision(Struct, frozen=True, kw_only=True):
    """The next state and what it does to the money; `failure` where the state becomes FAILED."""

    state: State
    move: Move | None = None
    failure: Failure | None = None


def decide(
    state: State, answer: Answer | NotSent, sent_for_s: float, patience: Patience
) -> Decision:
    """What `answer`, heard `sent_for_s` after sending, makes of a top-up in `state`.

    Endings stay, save two: taken back after SUCCEEDED, delivered after FAILED.
    """
    if isinstance(answer, NotSent):
        return _failed(answer.failure) if state is State.HELD else Decision(state=state)
    if state in IN_DOUBT:
        return _decide_in_doubt(state, answer, sent_for_s, patience)
    if state is State.SUCCEEDED and isinstance(answer, TakenBack):
        return Decision(state=State.REVERSED, move=Move.RETURN)
    if state is State.FAILED and isinstance(answer, Delivered):
        return Decision(state=State.RECOVERY, move=Move.RECOVER)
    return Decision(state=state)


def _decide_in_doubt(
    state: State, answer: Answer, sent_for_s: float, patience: Patience
) -> Decision:
    gave_up = sent_for_s >= patience.give_up_s
    match answer:
        case Delivered():
            return Decision(state=State.SUCCEEDED, move=Move.CAPTURE)
        case NotDelivered(failure=failure):
            return _failed(failure)
        case TakenBack():
            return _failed(Failure.TAKEN_BACK)
        case NotFound() if sent_for_s >= patience.grace_s:
            return _failed(Failure.NOT_RECEIVED)
        case Open():
            return _failed(Failure.OPERATOR_SILENT) if gave_up else Decision(state=state)
        case NotFound() | AlreadyUsed() | Unknown():
            if gave_up:
                return _failed(Failure.OPERATOR_SILENT)
            return Decision(state=State.UNKNOWN)


def _failed(failure: Failure) -> Decision:
    return Decision(state=State.FAILED, move=Move.RELEASE, failure=failure)
