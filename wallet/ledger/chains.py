"""Linked transfers: a chain inside one group goes through whole, or leaves nothing behind.

Promise: TigerBeetle's. A step whose `linked` is true shares the fate of the step after it; the
first without ends the chain. Steps are decided in order and see those before them; when one
declines, the chain's others answer linked_failed and the group stands as it was before the chain.
A chain that the end of the group cuts off is linked_chain_open. Chains do not know each other.

A chain asked for again, whole and the same, is answered as it was. One of which only some was
there before is not the same act: those steps answer transfer_differs (field `linked`).

    steps:    a   b-linked   c-linked   d   e        (b, c, d are one chain; a and e stand alone)

Who calls: rooms whose act is several transfers (exchange).
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from wallet.ledger.deciding import differs
from wallet.ledger.group import Group
from wallet.ledger.transfer import Posted
from wallet.outcomes import Declined, Reason

Answer = Posted | Declined
LINKED_FAILED = Declined(reason=Reason.LINKED_FAILED)
CHAIN_OPEN = Declined(reason=Reason.LINKED_CHAIN_OPEN)


class Step(Struct, frozen=True):
    """One request to a group, not yet decided. `ask` calls one act of the book."""

    ask: Callable[[], Answer]
    linked: bool = False


def linked(group: Group, asks: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Decide one chain: all of `asks`, or none.

    Declines: the reason of the one that failed; linked_failed for the others.
    """
    return decide(group, [Step(ask, linked=ask is not asks[-1]) for ask in asks])


def decide(group: Group, steps: Sequence[Step]) -> list[Answer]:
    """Decide a group's steps in order, chains and single ones; answers each.

    Declines: what each act declines; linked_failed, linked_chain_open.
    """
    answers: list[Answer] = []
    for chain in _chains(steps):
        if not chain[0].linked:
            answers.append(chain[0].ask())
        elif chain[-1].linked:
            answers += [*[LINKED_FAILED] * (len(chain) - 1), CHAIN_OPEN]
        else:
            answers += _whole(group, chain)
    return answers


def _chains(steps: Sequence[Step]) -> Iterator[list[Step]]:
    chain: list[Step] = []
    for step in steps:
        chain.append(step)
        if not step.linked:
            yield chain
            chain = []
    if chain:
        yield chain


def _whole(group: Group, chain: Sequence[Step]) -> list[Answer]:
    mark = group.mark()
    posted: list[Posted] = []
    for place, step in enumerate(chain):
        answer = step.ask()
        if isinstance(answer, Declined):
            group.undo(mark)
            return _failed(len(chain), {place: answer})
        posted.append(answer)
    repeated = [place for place, answer in enumerate(posted) if answer.repeated]
    if 0 < len(repeated) < len(chain):
        group.undo(mark)
        return _failed(len(chain), dict.fromkeys(repeated, differs("linked")))
    return list(posted)


def _failed(length: int, own: dict[int, Declined]) -> list[Answer]:
    return [own.get(place, LINKED_FAILED) for place in range(length)]
