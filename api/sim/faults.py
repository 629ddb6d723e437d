"""Faults to be planted between the imagined network and us, for the next messages to come.

Promise: a fault changes nothing but the wire: a message delivered twice, an answer that takes too
long, an answer that is lost. What we do then is the program's own. They are planted for every
process, and met once among all of them. Who calls: demonstrations and tests.
"""

from typing import Annotated, Any, Final

from litestar import post
from msgspec import Meta, Struct

from api.resources import Resources
from api.wire import Body
from wallet import simulation

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


@post("/faults", status_code=200, summary="Plant faults for the next messages")
async def plant(data: Faults, resources: Resources) -> Planted:
    """In place of what was planted before, and for every process of this demonstration."""
    faults = simulation.Faults(
        duplicate=data.duplicate, late=data.late, lost_answer=data.lost_answer
    )
    await simulation.plant(resources.works, faults)
    return Planted(duplicate=faults.duplicate, late=faults.late, lost_answer=faults.lost_answer)


HANDLERS: Final[list[Any]] = [plant]
