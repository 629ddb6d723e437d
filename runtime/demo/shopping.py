"""A shop online, at the end of an imagined card network, and what a virtual card does there.

Promise: every message has a key of this telling, so that one told again after a kill is the same
message and gets the same answer. Raises StoryError. Who calls: story.
"""

from collections.abc import Callable
from typing import Any, Final

import httpx

from runtime.demo.memory import Memory
from runtime.demo.people import Holder, StoryError, patiently
from wallet.money import Currency, Money

BOOKS: Final = {"id": "KH000000000BOOK", "name": "Monument Books", "mcc": "5942"}
ASKED: Final = 64_000
TAKEN: Final = 58_000
"""Riel: one book was sold out when the parcel left."""


class Shop:
    """What the shop's bank says for it."""

    def __init__(self, web: httpx.AsyncClient, bank: str) -> None:
        self._web = web
        self._bank = bank

    async def say(self, verb: str, **body: Any) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            answer = await self._web.post(f"/v1/sim/{verb}", json={"bank": self._bank, **body})
            answer.raise_for_status()
            told: dict[str, Any] = answer.json()
            return told

        return await patiently(ask)


async def buy_online(
    holder: Holder, shop: Shop, memory: Memory, say: Callable[[str], None]
) -> None:
    """Allowed and held, cleared for less, then declined with its reason on the frozen card."""
    card = (await holder.do("books", "card.create", currency="KHR", label="Books"))["card"]
    asked = {"card": {"id": card["id"]}, "merchant": BOOKS}
    key = memory.key("books-asked")
    allowed = await shop.say("authorise", key=key, amount_minor=ASKED, **asked)
    if not allowed["approved"]:
        raise StoryError(f"the books were declined: {allowed['reason']}")
    held = Money(allowed["answer"]["hold_minor"], Currency.KHR).display()
    say(f"   {BOOKS['name']} asks for {held} on •••• {card['last_four']}: allowed and held")
    cleared = await shop.say(
        "clear", key=memory.key("books-sent"), original=key, amount_minor=TAKEN
    )
    taken = Money(cleared["answer"]["cleared_minor"], Currency.KHR).display()
    say(f"   it takes {taken}, the rest is free again: {cleared['answer']['status']}")
    await holder.post("freeze-books", f"/cards/{card['id']}/freeze", {})
    declined = await shop.say(
        "authorise", key=memory.key("books-again"), amount_minor=ASKED, **asked
    )
    if declined["reason"] != "card_frozen":
        raise StoryError(f"the frozen card answered {declined['reason'] or 'yes'}")
    listed = await holder.read("/purchases")
    told = next(one["declined"] for one in listed["items"] if one["declined"])
    say(f'   frozen, it is declined; the app says: "{told["en"]}" -> {told["next_step"]}')
    await holder.do("close-books", "card.close", card_id=card["id"])
