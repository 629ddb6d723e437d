"""Bank operations at their door: shortfalls settled, tiers changed, house accounts read."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.resources import Resources
from runtime.handlers import handlers, rounds
from runtime.worker import JobRunner
from tests import world
from tests.behind import rows_of_all_banks
from tests.desk import Desk
from tests.wallet.ledger.books import assert_books_right
from tests.world import WorldHolder
from wallet import operations, topups
from wallet.access.sending import Channels
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger import chart, statement
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.limits import Tier, tiers_of
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, WORKER, Work

MAKER, CHECKER, STRANGER = "maker.acleda", "checker.acleda", "checker.wing"
ACLEDA = BankId("ACLEDA")


class Office:
    def __init__(
        self, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock, resources: Resources
    ) -> None:
        self.client, self.desk, self.clock, self.works = client, desk, clock, resources.works
        self.database = resources.database
        self.runner = JobRunner(
            resources.database,
            clock,
            handlers(resources, None, Channels(sms=None), topups.Patience(grace_s=60)),
        )

    async def headers(self, login: str) -> dict[str, str]:
        self.clock.advance(timedelta(seconds=30))
        return {**await self.desk.session(login), "idempotency-key": str(new_id())}

    async def get(self, path: str, login: str = CHECKER) -> httpx.Response:
        return await self.client.get(f"/v1/bank{path}", headers=await self.headers(login))

    async def post(self, path: str, body: Any, login: str = MAKER) -> httpx.Response:
        headers = await self.headers(login)
        return await self.client.post(f"/v1/bank{path}", headers=headers, json=body)

    async def approve(self, request_id: str, login: str = CHECKER) -> httpx.Response:
        headers = await self.headers(login)
        self.clock.advance(timedelta(seconds=30))
        body = {"totp": self.desk.code()}
        path = f"/v1/bank/requests/{request_id}/approve"
        return await self.client.post(path, headers=headers, json=body)

    async def work_off(self) -> None:
        while await self.runner.step():
            await self.runner.settle()

    async def balance(self, account: AccountId) -> int:
        found = await self.works.read(
            SYSTEM, ACLEDA, lambda work: statement.balances(work, [account])
        )
        return found[account].posted.minor

    async def shortfalls(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.get(f"/shortfalls{query}")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def told(self) -> list[tuple[str, int]]:
        """What holders were told of shortfalls settled."""
        rows = await rows_of_all_banks(
            self.database, "select body from events where kind = 'shortfall.settled' order by seq"
        )
        return [(row["body"]["how"], row["body"]["money"]["minor"]) for row in rows]

    async def force(self, debit: AccountId, credit: AccountId, minor: int) -> Posted:
        async def act(work: Work) -> Posted | Declined:
            suspense = await house_account(work, AccountKind.SUSPENSE, Currency.KHR)
            posting = Posting(
                id=TransferId(new_id()),
                debit=debit,
                credit=credit,
                money=Money.khr(minor),
                kind=TransferKind.CARD_PURCHASE,
            )
            book = await open_book(work, accounts=[debit, credit, suspense], ids=[posting.id])
            posted = book.force(posting, suspense)
            await book.write()
            return posted

        posted = await self.works.perform(WORKER, ACLEDA, act)
        assert isinstance(posted, Posted)
        return posted

    async def house(self, kind: AccountKind, detail: str = "") -> AccountId:
        return await self.works.perform(
            SYSTEM, ACLEDA, lambda work: house_account(work, kind, Currency.KHR, detail)
        )


@pytest.fixture
async def office(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock, resources: Resources
) -> Office:
    for login in (MAKER, CHECKER, STRANGER):
        await desk.enrol(login)
    return Office(client, desk, clock, resources)


@pytest.fixture
async def person(office: Office) -> WorldHolder:
    return await world.holder(office.works, khr=60)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


WALLET = {"way": "wallet", "why": "paid in again since"}
BANK = {"way": "bank", "why": "not worth asking for"}


async def test_a_shortfall_is_settled_from_the_wallet_by_two_clerks_and_a_new_entry(
    office: Office, person: WorldHolder
) -> None:
    merchant = await office.house(AccountKind.SWITCH_SETTLEMENT)
    suspense = await office.house(AccountKind.SUSPENSE)
    await office.force(person.khr, merchant, 100)
    (case,) = await office.shortfalls()
    assert (case["amount"]["amount_minor"], case["cause"]) == (40, "insufficient_funds")
    assert (case["state"], case["account_id"]) == ("OPEN", person.khr)

    asked = (await office.post(f"/shortfalls/{case['id']}/settle", WALLET)).json()
    assert asked["state"] == "REQUESTED"
    assert refusal(await office.approve(asked["id"], MAKER)) == (403, "four_eyes")
    assert refusal(await office.approve(asked["id"], STRANGER)) == (404, "not_found")
    assert await office.balance(suspense) == -40
    await world.fund(office.works, ACLEDA, person.khr, Money.khr(100))

    approved = await office.approve(asked["id"])
    assert (approved.status_code, approved.json()["state"]) == (200, "APPROVED"), approved.text
    await office.work_off()
    assert (await office.balance(person.khr), await office.balance(suspense)) == (60, 0)
    assert await office.shortfalls() == []
    (settled,) = await office.shortfalls("?open=false")
    assert settled["state"] == "DONE"
    again = await office.post(f"/shortfalls/{case['id']}/settle", BANK)
    assert refusal(again) == (409, "illegal_transition")
    assert refusal(await office.approve(asked["id"])) == (409, "illegal_transition")
    await office.works.perform(
        WORKER, ACLEDA, lambda work: operations.settle(work, UUID(asked["id"]))
    )
    assert await office.balance(suspense) == 0, "a job run twice settled twice"
    assert await office.told() == [("taken", 40)]
    await assert_books_right(office.works)


async def test_what_the_books_decline_moves_nothing_and_may_be_asked_for_anew(
    office: Office, person: WorldHolder
) -> None:
    merchant = await office.house(AccountKind.SWITCH_SETTLEMENT)
    suspense = await office.house(AccountKind.SUSPENSE)
    await office.force(person.khr, merchant, 100)
    (case,) = await office.shortfalls()
    asked = (await office.post(f"/shortfalls/{case['id']}/settle", WALLET)).json()
    assert (await office.approve(asked["id"])).status_code == 200
    await office.work_off()
    (told,) = (await office.get("/requests")).json()["items"]
    assert (told["state"], told["reason"]) == ("DECLINED", "insufficient_funds")
    assert await office.told() == [], "nothing was settled"
    assert [one["state"] for one in await office.shortfalls()] == ["OPEN"]
    assert await office.balance(suspense) == -40

    asked = (await office.post(f"/shortfalls/{case['id']}/settle", BANK)).json()
    assert (await office.approve(asked["id"])).status_code == 200
    await office.work_off()
    loss = await office.house(AccountKind.DISPUTE_LOSS, "forced")
    assert (await office.balance(suspense), await office.balance(loss)) == (0, -40)
    assert await office.told() == [("borne", 40)]
    await assert_books_right(office.works)


async def test_two_pairs_of_clerks_settle_one_shortfall_once(
    office: Office, person: WorldHolder
) -> None:
    merchant = await office.house(AccountKind.SWITCH_SETTLEMENT)
    await office.force(person.khr, merchant, 100)
    (case,) = await office.shortfalls()
    first = (await office.post(f"/shortfalls/{case['id']}/settle", WALLET)).json()
    second = (await office.post(f"/shortfalls/{case['id']}/settle", BANK)).json()
    assert first["id"] != second["id"]
    assert (await office.approve(second["id"])).status_code == 200
    assert refusal(await office.approve(first["id"])) == (409, "conflict")
    await office.work_off()
    suspense = await office.house(AccountKind.SUSPENSE)
    assert (await office.balance(person.khr), await office.balance(suspense)) == (0, 0)


async def test_what_a_closed_wallet_could_not_get_is_handed_to_it_when_it_is_open_again(
    office: Office, person: WorldHolder
) -> None:
    payer = await office.house(AccountKind.SWITCH_SETTLEMENT)
    suspense = await office.house(AccountKind.SUSPENSE)
    closing = TransferId(new_id())

    async def close(work: Work) -> None:
        book = await open_book(work, accounts=[person.khr, payer])
        assert isinstance(book.close(closing, person.khr, payer), Posted)
        await book.write()

    async def reopen(work: Work) -> None:
        book = await open_book(work, accounts=[], holds=[closing])
        assert isinstance(book.void(TransferId(new_id()), closing), Posted)
        await book.write()

    await office.works.perform(SYSTEM, ACLEDA, close)
    await office.force(payer, person.khr, 25)
    assert await office.balance(suspense) == 25
    (case,) = await office.shortfalls()
    assert case["cause"] == "account_closed"
    await office.works.perform(SYSTEM, ACLEDA, reopen)
    asked = (await office.post(f"/shortfalls/{case['id']}/settle", WALLET)).json()
    assert (await office.approve(asked["id"])).status_code == 200
    await office.work_off()
    assert (await office.balance(person.khr), await office.balance(suspense)) == (85, 0)
    assert await office.told() == [("given", 25)]
    await assert_books_right(office.works)


async def test_fineract_2753_the_same_is_not_asked_for_twice_while_it_waits(
    office: Office, person: WorldHolder
) -> None:
    """P10: there pending actions piled up twice, errors were unclear, and a checker could begin."""
    merchant = await office.house(AccountKind.SWITCH_SETTLEMENT)
    await office.force(person.khr, merchant, 100)
    (case,) = await office.shortfalls()
    settle = f"/shortfalls/{case['id']}/settle"
    tier = f"/people/{person.id}/tier"
    body = {"tier": "basic", "why": "card handed over by post"}
    for path, wish in ((settle, WALLET), (tier, body)):
        answers = [await office.post(path, wish) for _ in range(2)]
        assert [one.status_code for one in answers] == [201, 409], answers[0].text
        assert answers[1].json()["code"] == "conflict"
        assert answers[1].json()["facts"]["request_id"] == answers[0].json()["id"]
        assert refusal(await office.post(path, wish, CHECKER)) == (403, "forbidden")
    waiting = [one["state"] for one in (await office.get("/requests")).json()["items"]]
    assert waiting == ["REQUESTED", "REQUESTED"]
    office.clock.advance(timedelta(hours=24))
    assert (await office.post(tier, body)).status_code == 201, "what lapsed may be asked for anew"


async def test_fineract_2753_asked_by_two_at_once_it_waits_once(
    office: Office, person: WorldHolder
) -> None:
    """P10: whoever comes second while the first has not ended waits, and hears which waits."""
    asked, let = asyncio.Event(), asyncio.Event()
    await office.desk.enrol("second.acleda")
    actor = office.desk.member(MAKER).actor

    async def slowly(work: Work) -> None:
        await operations.ask_tier(work, person.id, Tier.BASIC, "card handed over by post")
        await work.flush()
        asked.set()
        await let.wait()

    first = asyncio.create_task(office.works.perform(actor, ACLEDA, slowly))
    await asked.wait()
    body = {"tier": "basic", "why": "once more"}
    second = asyncio.create_task(office.post(f"/people/{person.id}/tier", body, "second.acleda"))
    await asyncio.sleep(0.3)
    assert not second.done()
    let.set()
    await first
    assert refusal(await second) == (409, "conflict")


async def test_fineract_2982_another_house_stands_outside_on_every_path_of_money(
    office: Office, person: WorldHolder
) -> None:
    """P10: there the hierarchy of offices could be passed by. Another bank's clerk, with every
    permission of a checker, finds neither case nor person nor request nor account."""
    merchant = await office.house(AccountKind.SWITCH_SETTLEMENT)
    await office.force(person.khr, merchant, 100)
    (case,) = await office.shortfalls()
    asked = (await office.post(f"/shortfalls/{case['id']}/settle", WALLET)).json()
    assert (await office.get("/shortfalls", STRANGER)).json()["items"] == []
    assert (await office.get("/requests", STRANGER)).json()["items"] == []
    assert refusal(await office.approve(asked["id"], STRANGER)) == (404, "not_found")
    entries = await office.get(f"/accounts/{merchant}/entries", STRANGER)
    assert refusal(entries) == (404, "not_found")
    assert await office.balance(person.khr) == 0


async def test_fineract_1977_asking_and_approving_are_two_permissions_of_two_people(
    office: Office, person: WorldHolder
) -> None:
    """P10: who may do both does not approve their own; who may only approve asks for nothing."""
    path = f"/people/{person.id}/tier"
    body = {"tier": "basic", "why": "card handed over by post"}
    assert refusal(await office.post(path, body, CHECKER)) == (403, "forbidden")
    asked = (await office.post(path, body, MAKER)).json()
    assert refusal(await office.approve(asked["id"], MAKER)) == (403, "four_eyes")
    assert (await office.approve(asked["id"], CHECKER)).status_code == 200


async def test_a_tier_is_changed_by_two_clerks_on_the_record(
    office: Office, person: WorldHolder
) -> None:
    path = f"/people/{person.id}/tier"
    body = {"tier": "basic", "why": "card handed over by post"}
    same = await office.post(path, {**body, "tier": "full"})
    assert refusal(same) == (409, "conflict")
    assert refusal(await office.post(f"/people/{new_id()}/tier", body)) == (404, "not_found")
    assert refusal(await office.post(path, body, CHECKER)) == (403, "forbidden")
    asked = (await office.post(path, body)).json()
    assert await _tier(office, person) is Tier.FULL
    approved = await office.approve(asked["id"])
    assert (approved.status_code, approved.json()["state"]) == (200, "DONE"), approved.text
    assert await _tier(office, person) is Tier.BASIC

    async def trail(work: Work) -> list[tuple[str, str]]:
        rows = await work.rows(
            """
            select act, reason from audit where holder_id = $1 and reason is not null order by seq
            """,
            person.id,
        )
        return [(row["act"], row["reason"]) for row in rows]

    acts = await office.works.read(SYSTEM, ACLEDA, trail)
    assert acts == [("operations.tier.ask", body["why"]), ("limits.tier.basic", body["why"])]


async def test_a_request_waits_a_day_and_what_makes_no_sense_is_refused(
    office: Office, person: WorldHolder
) -> None:
    path = f"/people/{person.id}/tier"
    for body in (
        {"tier": "gold", "why": "because"},
        {"tier": "basic"},
        {"tier": "basic", "why": "  "},
        {"tier": "basic", "why": "because", "more": 1},
    ):
        answer = await office.post(path, body)
        assert refusal(answer) == (400, "invalid_request"), body
    settle = f"/shortfalls/{new_id()}/settle"
    assert refusal(await office.post(settle, WALLET)) == (404, "not_found")
    assert refusal(await office.post(settle, {**WALLET, "way": "gift"}))[0] == 400
    asked = (await office.post(path, {"tier": "basic", "why": "because"})).json()
    office.clock.advance(timedelta(hours=24))
    assert refusal(await office.approve(asked["id"]))[1] == "approval_expired"
    assert await _tier(office, person) is Tier.FULL


async def test_a_house_accounts_entries_page_with_a_running_balance_and_only_what_is_final(
    office: Office, person: WorldHolder, resources: Resources
) -> None:
    merchant = await office.house(AccountKind.SWITCH_SETTLEMENT)
    await world.fund(office.works, ACLEDA, person.khr, Money.khr(1_000))
    for minor in (100, 20, 3):
        await office.force(person.khr, merchant, minor)
    path = f"/accounts/{merchant}/entries"
    assert (await office.get(path)).json()["items"] == [], "shown before it was final"
    await rounds(resources, ACLEDA)
    await rounds(resources, ACLEDA)
    seen, cursor = [], ""
    while True:
        page = (await office.get(f"{path}?limit=2{cursor}")).json()
        seen += [
            (one["amount"]["amount_minor"], one["balance"]["amount_minor"]) for one in page["items"]
        ]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [(3, 123), (20, 120), (100, 100)]
    listed = (await office.get("/accounts")).json()["items"]
    assert (merchant, "switch_settlement", 123) in [
        (one["id"], one["kind"], one["balance"]["amount_minor"]) for one in listed
    ]
    assert {one["kind"] for one in listed}.isdisjoint({"wallet"})
    for other, login in ((person.khr, CHECKER), (merchant, STRANGER), (10**30, CHECKER)):
        answer = await office.get(f"/accounts/{other}/entries", login)
        assert refusal(answer) == (404, "not_found"), other


async def test_the_database_itself_shows_a_clerk_no_entries_of_a_wallet(
    office: Office, person: WorldHolder, resources: Resources
) -> None:
    await rounds(resources, ACLEDA)
    actor = office.desk.member(CHECKER).actor

    async def entries(work: Work) -> int:
        return len(await work.rows("select * from house_entries($1, 9999999999, 50)", person.khr))

    assert await office.works.read(actor, ACLEDA, entries) == 0
    wallets = await office.works.read(
        SYSTEM, ACLEDA, lambda work: chart.wallets_of_holder(work, person.id)
    )
    assert len(wallets) == 2


async def _tier(office: Office, person: WorldHolder) -> Tier:
    found = await office.works.read(SYSTEM, ACLEDA, lambda work: tiers_of(work, [person.id]))
    return found.get(person.id, Tier.FULL)


async def test_a_smart_id_a_clerk_stopped_is_let_go_on_by_a_checker(
    office: Office, person: WorldHolder
) -> None:
    path, why = f"/smart-ids/{person.smart_id_id}", {"reason": "card found"}
    frozen = await office.post(f"{path}/freeze", why)
    assert (frozen.json()["payment_state"], frozen.json()["frozen_by"]) == ("FROZEN", "BANK")
    assert refusal(await office.post(f"{path}/unfreeze", why, STRANGER)) == (404, "not_found")
    for _ in range(2):
        lifted = await office.post(f"{path}/unfreeze", why, CHECKER)
        assert (lifted.json()["payment_state"], lifted.json()["frozen_by"]) == ("ACTIVE", None)
    rows = await office.works.read(
        SYSTEM,
        ACLEDA,
        lambda work: work.rows("select act, reason from audit where act like 'smart_id.%'"),
    )
    assert [(row["act"], row["reason"]) for row in rows] == [
        ("smart_id.freeze", "card found"),
        ("smart_id.unfreeze", "card found"),
    ]
