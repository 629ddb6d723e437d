"""Bugs that users of other systems met at their doors, each tried at ours; named after them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests import world
from tests.api.support.office import CASE, Office, told
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.qr_steps import code_of
from wallet.identifiers import new_id
from wallet.work import SYSTEM, Work


async def test_formance_1601_a_key_used_again_on_giving_back_is_its_answer_and_no_fault(
    office: Office,
) -> None:
    """P8: there a key used again on a revert was answered with a 500."""
    case = await office.case_of(15_000)
    first = await office.refund(case["dispute_id"], 1_000, key="once")
    again = [await office.refund(case["dispute_id"], 1_000, key="once") for _ in range(3)]
    assert [(one.status_code, one.json()) for one in again] == [(201, first.json())] * 3
    assert await office.counter.wallet() == 2_000_000 - 15_000 + 1_000
    await assert_books_right(office.counter.works)


async def test_formance_stack_1633_and_1636_one_key_many_times_at_once_has_one_effect(
    office: Office,
) -> None:
    """P8: there two requests of one key both ran, and one key twice in a batch crashed it."""
    case = await office.case_of(15_000)
    answers = await asyncio.gather(
        *(office.refund(case["dispute_id"], 1_000, key="once") for _ in range(12))
    )
    done = [one.json() for one in answers if one.status_code == 201]
    assert done
    assert all(one == done[0] for one in done)
    others = {told(one) for one in answers if one.status_code != 201}
    assert others <= {(409, "in_flight")}
    assert await office.counter.wallet() == 2_000_000 - 15_000 + 1_000


async def test_fineract_2485_the_same_key_with_another_amount_is_told_so_and_pays_nothing(
    office: Office,
) -> None:
    """P9: there it was a 200 and the first result."""
    case = await office.case_of(15_000)
    await office.refund(case["dispute_id"], 1_000, key="once")
    other = await office.refund(case["dispute_id"], 2_000, key="once")
    assert told(other) == (422, "idempotency_key_reused")
    assert other.json()["title"]
    assert await office.counter.wallet() == 2_000_000 - 15_000 + 1_000


async def test_fineract_2485_a_corrected_request_after_a_refusal_is_served_under_the_same_key(
    office: Office,
) -> None:
    """P9: there the corrected retry was an empty 400."""
    case = await office.case_of(15_000)
    too_much = await office.refund(case["dispute_id"], 15_001, key="once")
    assert told(too_much) == (422, "refund_exceeds")
    corrected = await office.refund(case["dispute_id"], 15_000, key="once")
    assert (corrected.status_code, corrected.json()["amount_minor"]) == (201, 15_000)


async def test_fineract_2485_trap_8_a_key_is_its_callers_own(office: Office) -> None:
    """P9: there the same key on another customer answered with the first customer's ids. A cache of
    answers that does not know its caller is a breach between ministry and bank."""
    mine, theirs = office.counter.holder, office.counter.other
    for holder in (mine, theirs):
        headers = {**office.signed_in.headers(holder), "idempotency-key": "once"}
        answer = await office.client.post("/v1/mobile/smart-id/freeze", headers=headers, json={})
        assert answer.status_code == 200, answer.text
        assert holder.smart_id_number[-4:] in answer.text or "FROZEN" in answer.text

    async def states(work: Work) -> set[str]:
        rows = await work.rows(
            "select payment_state from smart_ids where holder_id = any($1)", [mine.id, theirs.id]
        )
        assert len(rows) == 2
        return {row["payment_state"] for row in rows}

    assert await office.counter.works.read(SYSTEM, None, states) == {"FROZEN"}


@pytest.mark.parametrize(
    "amount", [1_000.5, 1e3, 0.1, float(10**18), "1000", True, None, -1_000, 0, 2**63, 10**30]
)
async def test_trap_10_no_float_is_taken_for_money_at_a_door(office: Office, amount: Any) -> None:
    """Blnk takes a floating point amount; here money is a whole number of its smallest unit."""
    case = await office.case_of(15_000)
    body = {
        "amount": {"amount_minor": amount, "currency": "KHR"},
        "source": "COUNTERPARTY",
        "why": "The shop confirms it.",
    }
    answer = await office.post("dara", f"/disputes/{case['dispute_id']}/refunds", body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["code"] in ("invalid_request", "amount_invalid", "refund_exceeds")
    assert await office.counter.wallet() == 2_000_000 - 15_000


async def test_mojaloop_3078_what_is_over_reads_so_before_anybody_swept(office: Office) -> None:
    """P12: there a transfer past its moment was reported as if it still stood."""
    headers = office.signed_in.headers(office.counter.holder)
    wish = {"kind": "qr.pay", "fields": {"code": code_of(office.clock)}}
    shown = await office.client.post("/v1/mobile/intents", headers=headers, json=wish)
    assert shown.status_code == 201, shown.text
    path = f"/v1/mobile/intents/{shown.json()['id']}"
    office.clock.advance(timedelta(seconds=119))
    assert (await office.client.get(path, headers=headers)).json()["state"] == "PENDING"
    office.clock.advance(timedelta(seconds=1))
    assert (await office.client.get(path, headers=headers)).json()["state"] == "EXPIRED"


async def test_open_bank_oss_528_two_who_give_back_at_once_give_back_once(office: Office) -> None:
    """P13: there two reversals at once credited twice."""
    case = await office.case_of(15_000)
    answers = await asyncio.gather(*(office.refund(case["dispute_id"], 15_000) for _ in range(6)))
    refused = [one for one in answers if one.status_code != 201]
    assert len(refused) == 5
    assert {told(one)[1] for one in refused} <= {
        "refund_exceeds",
        "in_flight",
        "conflict",
    }
    assert await office.counter.wallet() == 2_000_000
    await assert_books_right(office.counter.works)


async def test_blnk_359_lists_have_one_order_and_a_page_once_read_does_not_shift(
    office: Office,
) -> None:
    """P5: asked for there. All of these were opened in the very same moment."""
    opened = [(await office.case_of(100 + place))["dispute_id"] for place in range(7)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await office.get("dara", "/disputes", **query)).json()
        seen += [one["id"] for one in page["items"]]
        if len(seen) == 4:
            await office.case_of(999)  # what comes meanwhile moves nothing that was read
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(seen) == len(set(seen))
    assert set(opened) <= set(seen)
    again = (await office.get("dara", "/disputes", limit=50)).json()["items"]
    assert [one["id"] for one in again if one["id"] in opened] == [
        one for one in seen if one in opened
    ]


async def test_tigerbeetle_3833_a_persons_data_go_and_the_ledger_stays(office: Office) -> None:
    """P7: asked for there. The journal knows accounts by number; names and telephones are sealed
    under the person's own key, which can be destroyed (all of it: tests/wallet/test_erasure.py)."""
    works = office.counter.works

    async def columns(work: Work) -> set[str]:
        rows = await work.rows(
            """
            select column_name from information_schema.columns
            where table_name in ('transfers', 'open_holds', 'reversals', 'shortfalls')
            """
        )
        return {row["column_name"] for row in rows}

    named = await works.read(SYSTEM, None, columns)
    assert "debit_account_id" in named
    assert not {name for name in named if name in ("holder_id", "name", "phone", "detail", "text")}


async def test_cases_are_told_apart_by_key_and_not_by_content(office: Office) -> None:
    """A second case for one transaction is its own reason, whoever repeats it under a new key."""
    paid = await office.counter.paid(15_000)
    assert (await office.dispute(paid, key="a")).status_code == 201
    assert told(await office.dispute(paid, key="b")) == (409, "dispute_exists")
    assert (await office.dispute(paid, key="a", **CASE)).status_code == 201
    assert told(await office.dispute(paid, key="a", statement="Twice!"))[0] == 422
    unknown = await office.client.get(
        f"/v1/mobile/intents/{new_id()}",
        headers=office.signed_in.headers(await world.holder(office.counter.works)),
    )
    assert told(unknown) == (404, "not_found")
