"""A holder with a phone, shops behind an imagined network, and the doors between them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Policy, Resources
from tests import world
from tests.api.conftest import HOST, desk, dialled, hashing, resources, throttle
from tests.api.mobile.test_cards import Phone, _Phones
from tests.phones import Pocket
from tests.wallet.cards.counter import Counter, Person
from tests.world import WorldHolder
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.ledger.statement import balances
from wallet.money import Money
from wallet.work import SYSTEM

__all__ = ["desk", "dialled", "hashing", "resources", "throttle"]

CAFE = {"id": "KH000000000CAFE", "name": "Kafé Ânkor", "mcc": "5814"}
BOOKS = {"id": "TH000000000SHOP", "name": "Bangkok Books", "mcc": "5942", "country": "TH"}


class Scene:
    """One story's people and places."""

    def __init__(
        self, app: Litestar, client: httpx.AsyncClient, phone: Phone, resources: Resources
    ) -> None:
        self.app = app
        self.client = client
        self.phone = phone
        self.resources = resources
        clock = phone.clock
        self.counter = Counter(resources.works, resources.vault, clock, CardRules())

    @property
    def holder(self) -> WorldHolder:
        return self.phone.pocket.holder

    @property
    def person(self) -> Person:
        return Person(self.holder, self.phone.pocket.device_id, self.phone.pocket.key)

    async def say(self, verb: str, **body: Any) -> dict[str, Any]:
        """What the network hears."""
        answer = await self.client.post(f"/v1/sim/{verb}", json={"bank": "ACLEDA", **body})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def buy(self, card_id: str, minor: int, **body: Any) -> dict[str, Any]:
        first = {"card": {"id": card_id}, "merchant": CAFE, "amount_minor": minor}
        return await self.say("authorise", **{**first, **body})

    async def read(self, path: str) -> Any:
        answer = await self.phone.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def salary(self, riel: int) -> None:
        await world.fund(self.resources.works, "ACLEDA", self.holder.khr, Money.khr(riel))

    async def riel(self) -> tuple[int, int]:
        """(posted, available)."""
        khr = self.holder.khr
        found = await self.resources.works.read(
            SYSTEM, self.holder.bank, lambda work: balances(work, [khr])
        )
        return found[khr].posted.minor, found[khr].available.minor


@pytest.fixture
async def scene(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    clock: TurnedClock,
) -> Scene:
    app = create_app(replace(resources, policy=Policy(host=HOST, simulation=True)))
    signed_in, client = _Phones(app, clock), dialled(app)
    works, vault = resources.works, resources.vault
    holder = await world.holder(works, vault=vault, khr=1_000_000, language="en")
    pocket = await Pocket(works, resources.teller, vault, holder).pair()
    signed_in.pockets[holder.id] = pocket
    headers = signed_in.headers(holder)
    phone = Phone(client, headers, pocket, await pocket.enrol_totp(), clock)
    return Scene(app, client, phone, resources)
