"""One day through the doors, as people and machines spend it: with every secret the wallet is ever
given or gives, with wrong ones too, and with faults of our own in the middle."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.resources import Resources
from notifications.channels.push import HttpPush
from notifications.channels.sms import HttpSms
from notifications.delivery import deliver_next
from runtime.handlers import handlers
from runtime.operators import HttpOperators
from runtime.token_service import HttpTokenService
from runtime.worker import JobRunner
from simulators.atm import AtmAnswer, AtmHost
from simulators.passkey import Authenticator
from simulators.phone import Phone, PhoneError, enrol
from simulators.push_gateway import Pushes, PushGateway
from simulators.sms_gateway import Messages, SmsGateway
from simulators.telco import Telco, sign_callback
from simulators.telco_books import Books
from simulators.token_service import TokenBooks, TokenServer
from tests import world
from tests.canary.ear import TOPPED_UP
from tests.canary.spelling import CHECK_VALUE, Secrets
from tests.desk import COOKIE, HOST, TICKET, Desk
from tests.wallet.qr_steps import code_of
from wallet import topups
from wallet.access import atm_hosts, machines
from wallet.access.machines import Algorithm, Machine, MachineKind, Provider
from wallet.access.sending import Channels
from wallet.clock import TurnedClock, day_of
from wallet.identifiers import BankId, Secret, luhn_digit
from wallet.work import SYSTEM, Work

PIN, WRONG_PIN = "739164", "518273"
NUMBER, NEW_NUMBER = "+85510731964", "+85592846173"
PASSPHRASE = "forty ducks by the bassac at noon"
WRONG_PASSPHRASE = "forty geese by the bassac at noon"
ACLEDA = BankId("ACLEDA")
CAFE = {"id": "KH000000000CAFE", "name": "Kafé Ânkor", "mcc": "5814"}
BROKEN = ("sessions", "intents", "virtual_cards", "staff", "pairings", "machine_nonces")
"""Tables that are gone for a moment: whoever needs one meets a fault of ours."""


class Outside:
    """Operators, gateways and token service as real servers, and the worker that calls them."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.gateway = SmsGateway(Messages())
        self.pushes = PushGateway(Pushes())
        self.telco = Telco(Books())
        self.tokens = TokenServer(TokenBooks())

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Outside"]:
        async with (
            self.gateway, self.pushes, self.telco, self.tokens, httpx.AsyncClient() as client,
        ):  # fmt: skip
            operators = HttpOperators(self.telco.url)
            tokens = HttpTokenService(self.tokens.url)
            sms = HttpSms(client, self.gateway.url)
            channels = Channels(sms=sms, push=HttpPush(client, self.pushes.url))
            table = handlers(self.resources, operators, channels, topups.Patience(), tokens)
            runner = JobRunner(self.resources.database, self.resources.clock, table)
            working = asyncio.create_task(self._work(runner))
            try:
                yield self
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
                await runner.abandon(1.0)
                await tokens.close()
                await operators.close()

    async def _work(self, runner: JobRunner) -> None:
        async def wake(_: Any) -> None:
            return None

        while True:
            await runner.step()
            await deliver_next(self.resources.works, wake)
            await asyncio.sleep(0.02)


class Day:
    """Everybody of the day. `client` tells the ear all it carries."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        resources: Resources,
        desk: Desk,
        clock: TurnedClock,
        secrets: Secrets,
        database_url: str,
    ) -> None:
        self.client = client
        self.resources = resources
        self.desk = desk
        self.clock = clock
        self.secrets = secrets
        self.database_url = database_url
        self.outside = Outside(resources)
        self.staff: dict[str, dict[str, str]] = {}
        self.cards: list[dict[str, Any]] = []
        """What the phone read of its cards."""
        self._stan = 16

    async def furnish(self) -> None:
        """A holder, a bank's machines, clerks and agents."""
        self.holder = await world.holder(
            self.resources.works, khr=5_000_000, vault=self.resources.vault, phone=NUMBER,
            language="en",
        )  # fmt: skip
        key = Ed25519PrivateKey.generate()
        self.secrets.learn("machine key", key.private_bytes_raw())

        async def machinery(work: Work) -> bytes:
            vault = self.resources.vault
            house = Machine(kind=MachineKind.BANK, bank=ACLEDA)
            await machines.add_key(
                work, vault, machine=machines.atm_host(ACLEDA), keyid="acleda-1",
                algorithm=Algorithm.ED25519,
                key=Secret(key.public_key().public_bytes_raw()),
            )  # fmt: skip
            await atm_hosts.list_terminals(work, ACLEDA, ["ATM1"], ["Phsar Thmei"])
            shared = await machines.issue(work, vault, house, algorithm=Algorithm.HMAC_SHA256)
            assert shared.secret is not None
            self.bank_keyid = shared.keyid
            return shared.secret.reveal()

        shared = await self.resources.works.perform(SYSTEM, ACLEDA, machinery)
        self.secrets.learn("machine key", shared)
        self.provider_secret = await self._of_the_provider()
        self.secrets.learn("callback secret", self.provider_secret)
        for login in ("dara", "bopha", "maker.acleda", "checker.acleda"):
            await self.desk.enrol(login)
        self.atm = AtmHost(
            self.client, keyid="acleda-1", key=key, terminal="ATM1", clock=self.clock.now,
            attempts=1,
        )  # fmt: skip
        self.bank_host = AtmHost(
            self.client, keyid=self.bank_keyid, key=shared, terminal="", clock=self.clock.now,
            tag="smartid-bank", attempts=1,
        )  # fmt: skip

    async def _of_the_provider(self) -> bytes:
        """What the aggregator signs its callbacks with."""
        aggregator = Machine(kind=MachineKind.PROVIDER, provider=Provider.OPERATORS)

        async def issue(work: Work) -> bytes:
            vault, algorithm = self.resources.vault, Algorithm.HMAC_SHA256
            issued = await machines.issue(work, vault, aggregator, algorithm=algorithm)
            assert issued.secret is not None
            return issued.secret.reveal()

        return await self.resources.works.perform(SYSTEM, None, issue)

    async def spend(self) -> None:
        async with self.outside.open():
            await self.pair_and_sign_in()
            await self.pay()
            await self.cards_in_the_app()
            await self.card_at_the_atm()
            await self.purchases()
            await self.top_up()
            await self.at_the_branch()
            await self.support()
            await self.mistakes()
            await self.number_changed()

    async def later(self) -> None:
        """Half a minute passes, for whoever has asked too often as well."""
        self.clock.advance(timedelta(seconds=31))
        async for bucket in self.desk.redis.scan_iter("smartid:rate:*"):
            await self.desk.redis.delete(bucket)

    # the holder

    async def pair_and_sign_in(self) -> None:
        self.phone = Phone(
            self.client, now=self.clock.now, number=NUMBER, sms_gateway=self.outside.gateway.url,
            push_gateway=self.outside.pushes.url,
        )  # fmt: skip
        await enrol(self.phone, PIN, self._at_the_atm)

    async def _at_the_atm(self, code: str) -> None:
        wrong = "50382716" if code != "50382716" else "50382717"
        for entered in (wrong, code):
            number = self.holder.smart_id_number
            body = {"smart_id_number": number, "pin_verified": True, "code": entered}
            answer = await self.atm.post("/v1/atm/pairings/confirm", body, key=str(uuid4()))
        assert answer.status == 200, answer.body

    async def pay(self) -> None:
        await self.phone.do("qr.pay", code=code_of(self.clock))
        # the authenticator's code of this half minute is used: one is sent, bound to this payment
        await self.phone.do("qr.pay", code=code_of(self.clock, amount="500000"))
        # and one more, pushed to the phone
        await self.phone.reach_by_push()
        await self.phone.do("qr.pay", code=code_of(self.clock, amount="550000"))
        [pushed] = self.outside.pushes.pushes.to()
        assert len(self.outside.gateway.messages.to()) == 1
        self.secrets.learn("sealed code", pushed.sealed)
        text = self.phone.key.decrypt(pushed.sealed)["text"]
        [code] = re.findall(r"\b[0-9]{8}\b", text)
        self.secrets.learn("sent code", code)
        await self.later()
        await self.phone.do("qr.pay", code=code_of(self.clock, amount="600000"))
        accounts = await self.phone.get("/accounts")
        await self.phone.get(f"/accounts/{accounts[0]['account_id']}/entries")
        await self.phone.get("/inbox")

    async def cards_in_the_app(self) -> None:
        await self.later()
        made = await self.phone.do("card.create", currency="KHR", label="Online")
        await self._reveal(made["card"]["id"])
        await self.later()
        await self.phone.do(
            "card.tokenise", card_id=made["card"]["id"], wallet="apple", device_name="Phone"
        )
        await self._until(f"/cards/{made['card']['id']}/tokens", "ACTIVE")

    async def _reveal(self, card_id: str) -> None:
        await self.later()
        shown = await self.phone.do("card.reveal", card_id=card_id)
        details = self.phone.key.decrypt(shown["jwe"])
        self.secrets.learn("card number", details["number"])
        self.secrets.learn(CHECK_VALUE, details["cvv"])
        self.cards.append(details)

    async def card_at_the_atm(self) -> None:
        slip = (await self._ask_card()).body
        claim = slip["claim"]
        for reference in (claim["reference"], claim["qr_text"].rsplit("/", 1)[1]):
            await self.phone.get(f"/card-claims/{reference}")
        await self.later()
        known = {name: claim[name] for name in ("reference", "number_match")}
        await self.phone.do("card.claim", **known)
        await self._reveal(slip["card_id"])
        await self._ask_card()
        card = {"smart_id_number": self.holder.smart_id_number, "pin_verified": True}
        for asked in ("balance-inquiries", "mini-statements", "app-unlocks"):
            for reading in (card, {**card, "pin_verified": False}):
                await self.atm.post(f"/v1/atm/{asked}", reading, key=str(uuid4()))

    async def _ask_card(self, **changed: Any) -> AtmAnswer:
        self._stan += 1
        body = {
            "smart_id_number": self.holder.smart_id_number,
            "pin_verified": True,
            "rrn": f"601209{self._stan:06d}",
            "stan": f"{self._stan:06d}",
            "local_date": day_of(self.clock.now()).isoformat(),
            **changed,
        }
        return await self.atm.post("/v1/atm/cards", body, key=f"card-{self._stan}")

    # the shop

    async def purchases(self) -> None:
        right = self.keyed_in()
        assert (await self.buy(right))["approved"]
        other = "123" if right["cvv"] != "123" else "321"
        told = await self.buy({**right, "cvv": other})
        assert told["reason"] == "card_details_wrong", told
        nobodys = "911601999999999"
        await self.buy({**right, "number": nobodys + luhn_digit(nobodys)})
        await self.client.post("/v1/sim/inquire", json={"bank": "ACLEDA", "card": right})

    def keyed_in(self) -> dict[str, str]:
        """The first card as it is keyed in at a shop."""
        card = self.cards[0]
        return {"number": card["number"], "expiry": card["expires"], "cvv": card["cvv"]}

    async def buy(self, card: dict[str, str], **changed: Any) -> dict[str, Any]:
        body = {"bank": "ACLEDA", "card": card, "merchant": CAFE, "amount_minor": 5_000, **changed}
        answer = await self.client.post("/v1/sim/authorise", json=body)
        found: dict[str, Any] = answer.json()
        return found

    async def top_up(self) -> None:
        await self.later()
        await self.phone.sign_in()
        shown = await self.phone.prepare(
            "topup.buy", phone=TOPPED_UP, amount="5000", currency="KHR"
        )
        await self.phone.authorise(shown)
        await self._until(f"/topups/{shown['id']}", "SUCCEEDED")
        await self._called_back(shown["id"])

    async def _called_back(self, topup_id: str) -> None:
        """Genuinely, twice, wrongly signed, and with the secret itself where signatures belong."""
        body, at = b'{"external_id": "%s"}' % topup_id.encode(), int(self.clock.now().timestamp())
        right = sign_callback(self.provider_secret, topup_id, at, body)
        bare = {
            **right,
            "webhook-signature": f"v1,{base64.b64encode(self.provider_secret).decode()}",
        }
        wrong = sign_callback(self.provider_secret, topup_id, at, body + b" ")
        for headers, status in ((right, 204), (right, 204), (wrong, 401), (bare, 401)):
            answer = await self.client.post(
                "/v1/callbacks/operators", content=body, headers=headers
            )
            assert answer.status_code == status, answer.text

    async def _until(self, path: str, state: str) -> None:
        async with asyncio.timeout(10):
            while state not in str(await self.phone.get(path)):
                await asyncio.sleep(0.05)

    # the staff

    async def sign_in(self, login: str, door: str, passphrase: str = PASSPHRASE) -> int:
        """A member of staff signs in over HTTP, and shows a passkey where one is asked for."""
        await self.later()
        body = {"login": login, "passphrase": passphrase, "totp": self.desk.code()}
        answer = await self.client.post(f"/v1/{door}/sessions", json=body)
        if answer.is_success:
            self.staff[login] = self._session(answer)
            if answer.json()["passkey_needed"]:
                await self._register(login, door)
        return answer.status_code

    async def _register(self, login: str, door: str) -> None:
        await self.desk.give_ticket(login)
        options = await self.ask(login, "POST", f"/v1/{door}/passkeys/options")
        credential = Authenticator(HOST).create(options.json()["public_key"])
        body = {"name": "ring", "credential": credential, "ticket": TICKET}
        answer = await self.ask(login, "POST", f"/v1/{door}/passkeys", body)
        assert answer.status_code == 201, answer.text
        self.staff[login] = self._session(answer)

    def _session(self, answer: httpx.Response) -> dict[str, str]:
        token = answer.cookies[COOKIE]
        self.client.cookies.clear()
        self.secrets.learn("staff session", token)
        return {"cookie": f"{COOKIE}={token}", "x-csrf-token": answer.json()["csrf_token"]}

    async def ask(self, login: str, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {**self.staff[login], "idempotency-key": str(uuid4())}
        return await self.client.request(method, path, json=body, headers=headers)

    async def support(self) -> None:
        assert await self.sign_in("dara", "support", WRONG_PASSPHRASE) == 401
        assert await self.sign_in("dara", "support") == 201
        assert await self.sign_in("bopha", "support") == 201
        await self.phone.sign_in()
        paid = await self.phone.prepare("qr.pay", code=code_of(self.clock, amount="700000"))
        await self.later()
        await self.phone.authorise(paid)
        case = await self.phone.post(
            "/disputes",
            {
                "transaction_id": paid["id"],
                "reason": "DUPLICATE_CHARGE",
                "statement": "Charged twice.",
            },
        )
        path = f"/v1/support/disputes/{case['dispute_id']}"
        for asked in (self.holder.staff_no, NUMBER, NUMBER.removeprefix("+")):
            await self.ask("dara", "POST", "/v1/support/search", {"q": asked})
        await self.ask("dara", "GET", path)
        holder = {"case_number": case["case_number"], "reason": "Call back, as the holder asked."}
        shown = await self.ask(
            "dara", "POST", f"/v1/support/people/{self.holder.id}/unmask", holder
        )
        assert shown.json()["phone"] == NUMBER, shown.text
        body = {
            "amount": {"amount_minor": 600_000, "currency": "KHR"},
            "source": "COUNTERPARTY",
            "why": "The shop confirms it.",
        }
        refund = (await self.ask("dara", "POST", f"{path}/refunds", body)).json()
        approve = f"/v1/support/refunds/{refund['refund_id']}/approve"
        wrong = await self.ask("bopha", "POST", approve, {"totp": "906315"})
        assert wrong.status_code == 403, wrong.text
        await self.later()
        done = await self.ask("bopha", "POST", approve, {"totp": self.desk.code()})
        assert done.json()["state"] == "PAID", done.text

    async def at_the_branch(self) -> None:
        for login in ("maker.acleda", "checker.acleda"):
            assert await self.sign_in(login, "bank") == 201
        body = {"smart_id_number": self.holder.smart_id_number, "code": "48151623"}
        await self.ask("maker.acleda", "POST", "/v1/bank/pairing-requests", body)
        assert (await self.bank_host.get("/v1/bank/days")).status == 200

    # what goes wrong

    async def mistakes(self) -> None:
        """Wrong secrets, secrets in the wrong place, and faults of ours while one is at hand."""
        await self.later()
        for pin in (WRONG_PIN, f"{WRONG_PIN}9", WRONG_PIN[:-1]):
            await self._refused(self.phone.sign_in(pin))
        await self._refused(self._sign_in_without_the_key())
        await self.phone.sign_in()
        shown = await self.phone.prepare("qr.pay", code=code_of(self.clock, amount="800000"))
        await self.later()
        for otp in ("648205", "60482057", "9481726350", f"{WRONG_PIN}\u17e1"):
            await self._refused(self.phone.authorise(shown, otp))
        await self._odd_requests()
        for table in BROKEN:
            await self.later()
            await self.phone.sign_in()
            shown = await self.phone.prepare("qr.pay", code=code_of(self.clock, amount="800000"))
            async with self._without(table):
                await self._with_every_secret(shown)
        await self.later()
        await self.phone.sign_in()

    async def _sign_in_without_the_key(self) -> None:
        asked = await self.phone.call(
            "POST", "/login-challenges", {"device_id": self.phone.device_id}
        )
        body = {
            "device_id": self.phone.device_id,
            "challenge": asked["challenge"],
            "signature": "c2ln" * 21 + "cg",
            "pin": PIN,
        }
        await self.phone.call("POST", "/sessions", body)

    async def _odd_requests(self) -> None:
        card = self.keyed_in()
        pan, client = card["number"], self.client
        await client.post("/v1/sim/authorise", content=f'{{"card": {{"number": "{pan}", "cvv')
        await self.buy({**card, "number": pan[:-1] + str((int(pan[-1]) + 1) % 10)})
        await self.buy({**card, "cvv": int(card["cvv"])})  # type: ignore[dict-item]
        await self.buy({**card, pan: card["cvv"]})
        await self._ask_card(smart_id_number=int(self.holder.smart_id_number))
        await self._ask_card(pin_verified=False, pin=WRONG_PIN)
        for path in (f"/v1/mobile/cards/{pan}", f"/v1/mobile/{pan}", f"/{PIN}"):
            await client.get(path)
        await self._refused(self.phone.get("/cards", cursor=pan))
        await self._refused(self.phone.prepare("topup.buy", phone=f"{NUMBER}x", amount="5000"))
        await self._refused(self.phone.prepare(pan, pin=PIN))
        body = {"login": "dara", "passphrase": WRONG_PASSPHRASE, "totp": 906315}
        await client.post("/v1/support/sessions", json=body)

    async def _with_every_secret(self, shown: dict[str, Any]) -> None:
        await self._refused(self.phone.sign_in())
        await self._refused(self.phone.authorise(shown, "371940"))
        await self._refused(self.phone.authorise(shown, "37194028"))
        await self._refused(self.phone.get("/me"))
        await self.buy(self.keyed_in())
        await self._ask_card()
        await self._refused(self.phone.begin_pairing())
        await self.client.post(
            "/v1/callbacks/operators", content=self.provider_secret,
            headers=sign_callback(
                self.provider_secret, shown["id"], int(self.clock.now().timestamp()),
                self.provider_secret,
            ),
        )  # fmt: skip
        body = {"login": "dara", "passphrase": PASSPHRASE, "totp": "371940"}
        await self.client.post("/v1/support/sessions", json=body)

    async def _refused(self, asking: Any) -> None:
        with suppress(PhoneError):
            await asking

    @asynccontextmanager
    async def _without(self, table: str) -> AsyncIterator[None]:
        admin = await asyncpg.connect(self.database_url)
        await admin.execute(f"alter table {table} rename to gone")
        try:
            yield
        finally:
            await admin.execute(f"alter table gone rename to {table}")
            await admin.close()

    async def number_changed(self) -> None:
        number = self.holder.smart_id_number
        body = {"smart_id_number": number, "pin_verified": True, "phone": NEW_NUMBER}
        changed = await self.atm.post("/v1/atm/phone-numbers", body, key="number")
        assert changed.status == 200, changed.body
        async with asyncio.timeout(10):
            while not self.outside.gateway.messages.to(NEW_NUMBER):
                await asyncio.sleep(0.05)
