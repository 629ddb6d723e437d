"""Salary files through the agency door: two officers, one file, nothing of anybody's spending."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests import world
from tests.desk import Desk
from tests.wallet.salary.payroll import SALARY, Line, Office, assert_books_right, file_of
from wallet.clock import TurnedClock
from wallet.identifiers import SalaryRunId
from wallet.salary.check import check
from wallet.salary.file import COLUMNS
from wallet.salary.runs import LARGEST_FILE_BYTES
from wallet.teller import Teller
from wallet.work import Works

URL = "/v1/agency/salary-files"


class Officers:
    """A signed-in maker and checker of MCS, with keys and fresh codes as needed."""

    def __init__(
        self, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock, works: Works
    ) -> None:
        self.client = client
        self.desk = desk
        self.clock = clock
        self.works = works
        self.sessions: dict[str, dict[str, str]] = {}
        self._keys = 0

    async def sign_in(self, login: str) -> None:
        await self.desk.enrol(login)
        self.sessions[login] = await self.desk.session(login)

    def headers(self, login: str, key: str | None = None) -> dict[str, str]:
        self._keys += 1
        return {
            **self.sessions[login],
            "idempotency-key": key or f"key-{self._keys}",
        }

    async def send(
        self, data: bytes, *, login: str = "maker.mcs", key: str | None = None
    ) -> httpx.Response:
        headers = {**self.headers(login, key), "content-type": "text/csv"}
        return await self.client.post(URL, content=data, headers=headers)

    async def checked(self, data: bytes) -> dict[str, Any]:
        sent = await self.send(data)
        assert sent.status_code == 202, sent.text
        await check(self.works, SalaryRunId(UUID(sent.json()["run_id"])))
        return await self.run(sent.json()["run_id"])

    async def run(self, run_id: str, login: str = "maker.mcs") -> dict[str, Any]:
        answer = await self.client.get(f"{URL}/{run_id}", headers=self.headers(login))
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def approve(
        self,
        run: dict[str, Any],
        *,
        login: str = "checker.mcs",
        totp: str | None = None,
        key: str | None = None,
        sha256: str | None = None,
    ) -> httpx.Response:
        # The code of signing in is spent: the next half minute's is taken.
        self.clock.advance(timedelta(seconds=30))
        return await self.client.post(
            f"{URL}/{run['run_id']}/approve",
            json={"totp": totp or self.desk.code(), "sha256": sha256 or run["sha256"]},
            headers=self.headers(login, key),
        )


@pytest.fixture
async def officers(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock, works: Works
) -> Officers:
    signed_in = Officers(client, desk, clock, works)
    await signed_in.sign_in("maker.mcs")
    await signed_in.sign_in("checker.mcs")
    return signed_in


async def _file(works: Works, count: int = 2) -> tuple[bytes, list[world.WorldHolder]]:
    people = await world.people(works, count)
    return file_of([Line(holder=person) for person in people]), people


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_file_is_sent_checked_approved_and_paid(
    officers: Officers, works: Works, teller: Teller
) -> None:
    data, people = await _file(works)
    sent = await officers.send(data)
    assert sent.status_code == 202
    assert sent.json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert sent.json()["state"] == "RECEIVED"
    run_id = SalaryRunId(UUID(sent.json()["run_id"]))
    await check(works, run_id)
    run = await officers.run(str(run_id), "checker.mcs")
    assert (run["state"], run["lines"], run["accepted_minor"]) == ("CHECKED", 2, 2 * SALARY)
    approved = await officers.approve(run)
    assert (approved.status_code, approved.json()["state"]) == (200, "APPROVED")
    office = Office(works, teller)
    await office.pay(await office.run(run_id))
    run = await officers.run(str(run_id))
    assert (run["state"], run["paid_lines"], run["paid_minor"]) == ("PAID", 2, 2 * SALARY)
    assert {await office.credited(person) for person in people} == {SALARY}
    await assert_books_right(works)


async def test_bad_lines_are_answered_by_line_number_in_khmer_and_english(
    officers: Officers, works: Works
) -> None:
    one, two, three = await world.people(works, 3)
    lines = [Line(holder=one), Line(holder=two, amount=0), Line(holder=three, staff_no="17")]
    run = await officers.checked(file_of(lines))
    answer = await officers.client.get(
        f"{URL}/{run['run_id']}/lines?state=REJECTED", headers=officers.headers("maker.mcs")
    )
    items = answer.json()["items"]
    assert [(item["line_no"], item["code"]) for item in items] == [
        (3, "amount_zero"),
        (4, "staff_no_short"),
    ]
    assert items[0]["detail"]["km"].startswith("ចំនួនទឹកប្រាក់")
    assert items[0]["detail"]["en"].startswith("The amount is zero")


async def test_file_level_faults_are_shown_with_their_line(
    officers: Officers, works: Works
) -> None:
    data, _ = await _file(works)
    run = await officers.checked(data.replace(b"TOTAL,2", b"TOTAL,4"))
    assert run["state"] == "REFUSED"
    fault = run["faults"][0]
    assert (fault["code"], fault["line_no"]) == ("count_wrong", 4)
    assert fault["facts"] == {"stated": 4, "found": 2}
    assert fault["detail"]["km"]
    assert code_of(await officers.approve(run)) == (409, "illegal_transition")


async def test_sent_again_under_its_key_it_is_the_same_run(
    officers: Officers, works: Works
) -> None:
    data, _ = await _file(works)
    first = await officers.send(data, key="monday")
    again = await officers.send(data, key="monday")
    assert (again.status_code, again.json()) == (202, first.json())
    other = await officers.send(data + b"\n", key="monday")
    assert code_of(other) == (422, "idempotency_key_reused")
    assert code_of(await officers.send(data)) == (409, "salary_file_repeated")


async def test_a_file_without_a_key_is_refused(officers: Officers) -> None:
    headers = officers.headers("maker.mcs")
    del headers["idempotency-key"]
    answer = await officers.client.post(URL, content=b"x", headers=headers)
    assert code_of(answer) == (400, "idempotency_key_missing")


async def test_a_file_over_sixty_four_megabytes_is_too_large_announced_or_not(
    officers: Officers,
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b"x" * (1 << 20)

    headers = officers.headers("maker.mcs")
    streamed = await officers.client.post(URL, content=pieces(), headers=headers)
    assert code_of(streamed) == (413, "too_large")
    announced = {**headers, "content-length": str(LARGEST_FILE_BYTES + 1)}
    refused = await officers.client.post(URL, content=b"x", headers=announced)
    assert code_of(refused) == (413, "too_large")


async def test_a_large_file_is_stored_as_it_came(officers: Officers, works: Works) -> None:
    data = (",".join(COLUMNS) + "\n").encode() + b"0123456789,\n" * 200_000
    sent = await officers.send(data)
    stored = await works.read(
        officers.desk.member("maker.mcs").actor,
        None,
        lambda work: work.rows("select bytes from salary_files order by part"),
    )
    assert len(stored) > 1
    assert b"".join(row["bytes"] for row in stored) == data
    assert sent.json()["sha256"] == hashlib.sha256(data).hexdigest()


async def test_only_makers_send_and_only_checkers_approve(officers: Officers, works: Works) -> None:
    data, _ = await _file(works)
    assert code_of(await officers.send(data, login="checker.mcs")) == (403, "forbidden")
    run = await officers.checked(data)
    assert code_of(await officers.approve(run, login="maker.mcs")) == (403, "forbidden")


async def test_who_may_do_both_does_not_approve_their_own(officers: Officers, works: Works) -> None:
    await officers.sign_in("both.mcs")
    data, _ = await _file(works)
    sent = await officers.send(data, login="both.mcs")
    await check(works, SalaryRunId(UUID(sent.json()["run_id"])))
    run = await officers.run(sent.json()["run_id"])
    assert code_of(await officers.approve(run, login="both.mcs")) == (403, "four_eyes")
    assert (await officers.approve(run)).status_code == 200


async def test_a_wrong_code_approves_nothing_and_a_fresh_one_does(
    officers: Officers, works: Works
) -> None:
    data, _ = await _file(works)
    run = await officers.checked(data)
    wrong = await officers.approve(run, totp="000000")
    assert code_of(wrong) == (403, "otp_wrong")
    assert (await officers.run(run["run_id"]))["state"] == "CHECKED"
    assert (await officers.approve(run)).status_code == 200


async def test_an_approval_names_the_file_looked_at(officers: Officers, works: Works) -> None:
    data, _ = await _file(works)
    run = await officers.checked(data)
    other = await officers.approve(run, sha256="ab" * 32)
    assert code_of(other) == (409, "salary_file_changed")


async def test_an_approval_repeated_under_its_key_is_the_same_answer(
    officers: Officers, works: Works
) -> None:
    data, _ = await _file(works)
    run = await officers.checked(data)
    first = await officers.approve(run, key="release")
    again = await officers.approve(run, key="release")
    assert (again.status_code, again.json()) == (200, first.json())
    assert code_of(await officers.approve(run)) == (409, "illegal_transition")


async def test_a_file_is_recalled_and_a_corrected_one_taken(
    officers: Officers, works: Works
) -> None:
    data, people = await _file(works)
    run = await officers.checked(data)
    recalled = await officers.client.post(
        f"{URL}/{run['run_id']}/recall", headers=officers.headers("maker.mcs")
    )
    assert (recalled.status_code, recalled.json()["state"]) == (200, "REFUSED")
    corrected = await officers.checked(file_of([Line(holder=people[0])]))
    assert corrected["state"] == "CHECKED"


async def test_another_agencys_officer_finds_nothing(officers: Officers, works: Works) -> None:
    await officers.sign_in("checker.moeys")
    data, _ = await _file(works)
    run = await officers.checked(data)
    headers = officers.headers("checker.moeys")
    for path in ("", "/lines"):
        answer = await officers.client.get(f"{URL}/{run['run_id']}{path}", headers=headers)
        assert code_of(answer) == (404, "not_found")
    assert (await officers.client.get(URL, headers=headers)).json()["items"] == []
    assert code_of(await officers.approve(run, login="checker.moeys")) == (404, "not_found")


async def test_files_and_lines_are_paged(officers: Officers, works: Works) -> None:
    people = await world.people(works, 5)
    for half in (1, 2):
        await officers.checked(file_of([Line(holder=p) for p in people], half=half))
    headers = officers.headers("maker.mcs")
    seen: list[int] = []
    cursor = ""
    while True:
        page = (await officers.client.get(f"{URL}?limit=1{cursor}", headers=headers)).json()
        seen += [run["half"] for run in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [2, 1]
    run_id = page["items"][0]["run_id"]
    first = await officers.client.get(
        f"{URL}/{run_id}/lines?state=PENDING&limit=3", headers=headers
    )
    rest = await officers.client.get(
        f"{URL}/{run_id}/lines?state=PENDING&limit=3&cursor={first.json()['next']}",
        headers=headers,
    )
    numbers = [item["line_no"] for page in (first, rest) for item in page.json()["items"]]
    assert numbers == [2, 3, 4, 5, 6]


async def test_an_officer_sees_no_balance(officers: Officers, works: Works) -> None:
    (rich,) = await world.people(works, 1, khr=77_777_777)
    run = await officers.checked(file_of([Line(holder=rich)]))
    headers = officers.headers("maker.mcs")
    shown = [
        (await officers.client.get(f"{URL}/{run['run_id']}{path}", headers=headers)).text
        for path in ("", "/lines?state=PENDING")
    ]
    assert not any("77777777" in text or "balance" in text for text in shown)
