"""Faults to be planted between the imagined network and us, for the next messages to come.

Promise: a fault changes nothing but the wire: a message delivered twice, an answer that takes too
long, an answer that is lost. What we do then is the program's own. Kept in this process alone.
Who calls: messages (using them up); demonstrations and tests (planting).
"""

from typing import Annotated, Any, Final

from litestar import Litestar, post
from msgspec import Meta, Struct

from api.wire import Body

Number = Annotated[int, Meta(ge=0, le=1000, examples=[1])]


class Faults(Body, frozen=True, kw_only=True):
    """How many of the next messages meet each fault."""

    duplicate: Number = 0
    late: Number = 0
    lost_answer: Number = 0


class Planted(Struct, frozen=True, kw_only=True):
    duplicate: Annotated[int, Meta(examples=[1])]
    late: Annotated[int, Meta(examples=[0])]
    lost_answer: Annotated[int, Meta(examples=[0])]


class Wire:
    """What is wrong with the wire just now."""

    def __init__(self) -> None:
        self._left = dict.fromkeys(Faults.__struct_fields__, 0)

    def plant(self, faults: Faults) -> Planted:
        self._left = {name: getattr(faults, name) for name in self._left}
        return Planted(**self._left)

    def meets(self, fault: str) -> bool:
        """Whether this message meets the fault; uses it up."""
        if self._left[fault] == 0:
            return False
        self._left[fault] -= 1
        return True


def wire_of(app: Litestar) -> Wire:
    state = app.state
    if "sim_wire" not in state:
        state.sim_wire = Wire()
    wire: Wire = state.sim_wire
    return wire


@post("/faults", status_code=200, summary="Plant faults for the next messages")
async def plant(data: Faults, request: Any) -> Planted:
    return wire_of(request.app).plant(data)


HANDLERS: Final[list[Any]] = [plant]
