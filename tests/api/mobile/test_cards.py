"""Story A3 through the phones' door: a virtual card made, shown, drawn, replaced, in a wallet."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import zxingcpp
from litestar import Litestar
from msgspec.structs import replace
from PIL import Image

from api.app import create_app
from api.mobile import card_art
from api.resources import Policy, Resources
from simulators.phone_keys import canonical_of
from tests import world
from tests.api.signed_in import SignedIn
from tests.phones import Pocket
from tests.world import WorldHolder
from wallet.access.sessions import HolderSession
from wallet.cards import numbers
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, luhn_valid


class _Phones(SignedIn):
    """Each holder's session is their paired phone's."""

    def __init__(self, app: Litestar, clock: TurnedClock) -> None:
        super().__init__(app, clock)
        self.pockets: dict[Any, Pocket] = {}

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        session = await super().of(token, reading=reading)
        pocket = self.pockets.get(session.holder_id)
        if pocket is None:
            return session
        return replace(session, device_id=pocket.device_id)


class Phone:
    """One holder's phone at the door, signing and typing codes."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        headers: dict[str, str],
        pocket: Pocket,
        secret: str,
        clock: TurnedClock,
    ) -> None:
        self.client = client
        self.headers = headers
        self.pocket = pocket
        self.secret = secret
        self.clock = clock

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/v1/mobile{path}", headers={**self.headers, **headers})

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        headers = {**self.headers, "idempotency-key": f"key-{path[-40:]}"}
        return await self.client.post(f"/v1/mobile{path}", headers=headers, json=body)

    async def ask(self, kind: str, /, **fields: Any) -> httpx.Response:
        return await self.post("/intents", {"kind": kind, "fields": fields})

    async def sign(self, shown: dict[str, Any], code: str | None = None) -> httpx.Response:
        body = {"signature": self.pocket.key.sign(_canonical(shown, self.pocket))}
        if code is not None:
            body["otp"] = code
        return await self.post(f"/intents/{shown['id']}/authorise", body)

    def code(self) -> str:
        self.clock.advance(timedelta(seconds=30))
        return self.pocket.totp(self.secret)

    async def do(self, kind: str, /, **fields: Any) -> dict[str, Any]:
        code = self.code()
        shown = await self.ask(kind, **fields)
        assert shown.status_code == 201, shown.text
        done = await self.sign(shown.json(), code)
        assert done.status_code == 200, done.text
        answer: dict[str, Any] = done.json()["answer"]
        return answer

    async def card(self, **fields: Any) -> str:
        made = await self.do("card.create", **{"currency": "USD", **fields})
        return str(made["card"]["id"])


def _canonical(shown: dict[str, Any], pocket: Pocket) -> bytes:
    return canonical_of(shown, str(pocket.holder.id), str(pocket.device_id))


Dial = Callable[[Litestar], httpx.AsyncClient]


@pytest.fixture
async def phones(resources: Resources, dialled: Dial, clock: TurnedClock) -> tuple[Phone, Phone]:
    app = create_app(resources)
    signed_in, client = _Phones(app, clock), dialled(app)

    async def phone(holder: WorldHolder) -> Phone:
        works, teller, vault = resources.works, resources.teller, resources.vault
        pocket = await Pocket(works, teller, vault, holder).pair()
        signed_in.pockets[holder.id] = pocket
        headers = signed_in.headers(holder)
        return Phone(client, headers, pocket, await pocket.enrol_totp(), clock)

    one, two = [
        await world.holder(resources.works, vault=resources.vault, usd=5_000, language="km")
        for _ in range(2)
    ]
    return await phone(one), await phone(two)


@pytest.fixture
def phone(phones: tuple[Phone, Phone]) -> Phone:
    return phones[0]


async def test_a3_a_card_is_made_shown_to_the_phone_alone_and_told_of(phone: Phone) -> None:
    shown = (
        await phone.ask("card.create", currency="USD", label="ទិញសៀវភៅ", kind="single_use")
    ).json()
    assert shown["text"]["en"].startswith("Create card:")
    assert "ទិញសៀវភៅ" in shown["text"]["km"]
    made = await phone.sign(shown, phone.code())
    assert made.status_code == 200, made.text
    card = made.json()["answer"]["card"]
    assert (card["state"], card["kind"]) == ("ACTIVE", "single_use")
    revealed = await phone.do("card.reveal", card_id=card["id"])
    content = phone.pocket.key.decrypt(revealed["jwe"])
    assert luhn_valid(content["number"])
    assert content["number"][-4:] == card["last_four"]
    assert content["shown_for_s"] == 60
    listed = await phone.get("/cards")
    assert content["number"] not in listed.text
    steps = (await phone.get(f"/cards/{card['id']}/history")).json()["items"]
    assert [step["act"] for step in steps] == ["card.request", "card.create", "card.reveal"]
    assert {step["actor_kind"] for step in steps} == {"holder"}


async def test_a3_1_the_sixth_card_is_refused_with_the_limit(phone: Phone) -> None:
    for _ in range(5):
        await phone.card()
    sixth = await phone.ask("card.create", currency="USD")
    assert (sixth.status_code, sixth.json()["code"]) == (409, "card_limit_reached")


async def test_a3_2_dollars_from_riel_need_a_rate_before_they_are_promised(phone: Phone) -> None:
    asked = await phone.ask("card.create", currency="KHR", exchange=True)
    assert asked.json()["code"] == "exchange_unavailable"


async def test_a3_3_the_code_of_another_act_makes_no_card(phone: Phone) -> None:
    code = phone.code()
    first = (await phone.ask("card.create", currency="USD")).json()
    second = (await phone.ask("card.create", currency="USD")).json()
    assert (await phone.sign(first, code)).status_code == 200
    reused = await phone.sign(second, code)
    assert (reused.status_code, reused.json()["code"]) == (403, "otp_wrong")


async def test_a3_4_a_double_tap_makes_one_card(phone: Phone) -> None:
    shown, code = (await phone.ask("card.create", currency="USD")).json(), phone.code()
    first, second = await phone.sign(shown, code), await phone.sign(shown, code)
    assert first.json() == second.json()
    assert len((await phone.get("/cards")).json()["items"]) == 1


async def test_a3_5_a_frozen_smart_id_makes_and_shows_no_card(phone: Phone) -> None:
    card_id = await phone.card()
    assert (await phone.post("/smart-id/freeze")).status_code == 200
    for kind, fields in (
        ("card.create", {"currency": "USD"}),
        ("card.reveal", {"card_id": card_id}),
        ("card.replace", {"card_id": card_id}),
        ("card.tokenise", {"card_id": card_id, "wallet": "apple", "device_name": "x"}),
    ):
        asked = await phone.ask(kind, **fields)
        assert asked.json()["code"] == "smart_id_frozen", (kind, asked.text)


async def test_a_reveal_is_once(phone: Phone) -> None:
    card_id, code = await phone.card(), phone.code()
    shown = (await phone.ask("card.reveal", card_id=card_id)).json()
    first, again = await phone.sign(shown, code), await phone.sign(shown, code)
    assert "jwe" in first.json()["answer"]
    assert "jwe" not in again.json()["answer"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"currency": "USD", "kind": "golden"}, 400),
        ({"currency": "USD", "kind": "open", "merchant": {"id": "S", "name": "Shop"}}, 400),
        ({"currency": "USD", "kind": "recurring", "merchant": {"id": "", "name": "Shop"}}, 400),
        ({"currency": "USD", "kind": "recurring", "merchant": {"id": "S" * 16, "name": "S"}}, 400),
        ({"currency": "EUR"}, 400),
        ({"currency": "USD", "exchange": "yes"}, 400),
        ({"currency": "USD", "limit": 5}, 400),
    ],
)
async def test_a_wish_of_another_shape_is_named_and_makes_nothing(
    phone: Phone, fields: dict[str, Any], status: int
) -> None:
    asked = await phone.ask("card.create", **fields)
    assert asked.status_code == status, asked.text
    assert (await phone.get("/cards")).json()["items"] == []


async def test_a_replaced_card_names_its_successor(phone: Phone) -> None:
    card_id = await phone.card()
    new = (await phone.do("card.replace", card_id=card_id, reason="COMPROMISED"))["card"]
    old = (await phone.get(f"/cards/{card_id}")).json()
    assert (old["state"], old["replaced_by"]) == ("CLOSED", new["id"])
    assert new["replaces"] == card_id


async def test_a_token_is_listed_and_given_up(phones: tuple[Phone, Phone]) -> None:
    phone, other = phones
    card_id = await phone.card()
    asked = {"card_id": card_id, "wallet": "google", "device_name": "Pixel របស់ខ្ញុំ"}
    token_id = (await phone.do("card.tokenise", **asked))["token_id"]
    items = (await phone.get(f"/cards/{card_id}/tokens")).json()["items"]
    assert [(item["id"], item["state"]) for item in items] == [(token_id, "REQUESTED")]
    assert (await other.get(f"/cards/{card_id}/tokens")).status_code == 404
    assert (await other.post(f"/card-tokens/{token_id}/delete")).status_code == 404
    gone = await phone.post(f"/card-tokens/{token_id}/delete")
    assert gone.json()["token"]["state"] == "DELETED"


class TestTheFace:
    async def test_it_is_drawn_in_khmer_and_its_code_opens_the_card_and_nothing_else(
        self, phone: Phone
    ) -> None:
        card_id = await phone.card(label="ទិញសៀវភៅ")
        png = await phone.get(f"/cards/{card_id}/face.png")
        assert png.headers["content-type"] == "image/png"
        picture = Image.open(io.BytesIO(png.content))
        assert abs(picture.width / picture.height - 85.6 / 53.98) < 0.01
        [code] = zxingcpp.read_barcodes(picture)
        assert code.text == f"https://wallet.smartid.test/cards/{card_id}"
        svg = await phone.get(f"/cards/{card_id}/face.svg")
        assert svg.headers["content-type"].startswith("image/svg+xml")
        assert svg.text.startswith("<svg")
        # Drawn as outlines, so no phone needs a Khmer font, and nothing is fetched from anywhere.
        assert "<text" not in svg.text
        assert "font-face" not in svg.text

    async def test_it_holds_no_number(self, phone: Phone) -> None:
        card_id = await phone.card()
        revealed = await phone.do("card.reveal", card_id=card_id)
        content = phone.pocket.key.decrypt(revealed["jwe"])
        svg = await phone.get(f"/cards/{card_id}/face.svg")
        for secret in (content["number"], content["number"][:12], content["number"][6:]):
            assert secret not in svg.text

    async def test_the_same_face_is_told_to_be_the_same(self, phone: Phone) -> None:
        card_id = await phone.card()
        first = await phone.get(f"/cards/{card_id}/face.svg")
        etag = first.headers["etag"]
        again = await phone.get(f"/cards/{card_id}/face.svg", **{"if-none-match": f'"x", {etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        await phone.post(f"/cards/{card_id}/freeze")
        frozen = await phone.get(f"/cards/{card_id}/face.svg", **{"if-none-match": etag})
        assert frozen.status_code == 200
        assert frozen.content != first.content
        png = await phone.get(f"/cards/{card_id}/face.png")
        assert png.headers["etag"] != frozen.headers["etag"]

    async def test_it_is_drawn_once_for_all_who_ask(
        self, phone: Phone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        studio = card_art.Studio()
        monkeypatch.setattr(card_art, "STUDIO", studio)
        drawn = 0
        draw = studio._draw

        def counted(*given: Any) -> bytes:
            nonlocal drawn
            drawn += 1
            return draw(*given)

        monkeypatch.setattr(studio, "_draw", counted)
        card_id = await phone.card()
        for _ in range(4):
            assert (await phone.get(f"/cards/{card_id}/face.svg")).status_code == 200
        assert drawn == 1

    async def test_anothers_card_and_another_file_are_not_there(
        self, phones: tuple[Phone, Phone]
    ) -> None:
        phone, other = phones
        card_id = await phone.card()
        assert (await other.get(f"/cards/{card_id}/face.svg")).status_code == 404
        for name in ("face.pdf", "face.html", "face", "back.png", "..svg"):
            assert (await phone.get(f"/cards/{card_id}/{name}")).status_code == 404


async def test_the_iin_is_a_setting_of_six_or_eight_digits(
    resources: Resources, clock: TurnedClock
) -> None:
    policy = Policy(card_iins={"ACLEDA": "911609", "WING": "91160377"})
    given = Resources(
        **{name: getattr(resources, name) for name in Resources.__slots__ if name != "policy"},
        policy=policy,
    )
    found = {
        bank: numbers.draw_number(numbers.iin_of(given.issuing.rules, BankId(bank)))
        for bank in ("ACLEDA", "WING", "CANADIA")
    }
    assert all(len(number) == 16 and luhn_valid(number) for number in found.values())
    assert found["ACLEDA"].startswith("911609")
    assert found["WING"].startswith("91160377")
    assert found["CANADIA"].startswith("91160210")
