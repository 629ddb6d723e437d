"""Sessions of staff in a browser: security rows B14 (fixation, theft, logout) and B15 (cross-site).

The framework's own server-side sessions take whatever id a cookie brings and keep it at login; the
tests named after that hold against ours.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests.desk import COOKIE, HOST, PASSPHRASE, Desk
from wallet.access import staff_sessions
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import new_id

CURRENT = "/v1/support/sessions/current"
STEP_UP = f"{CURRENT}/step-up"
NOBODYS_CASE = f"/v1/support/disputes/{new_id()}/close"


@pytest.fixture(autouse=True)
async def dara(desk: Desk) -> None:
    await desk.enrol("dara")


async def sign_in(
    client: httpx.AsyncClient, desk: Desk, login: str = "dara", **headers: str
) -> httpx.Response:
    client.cookies.clear()
    return await client.post(
        "/v1/support/sessions",
        json={"login": login, "passphrase": PASSPHRASE, "totp": desk.code()},
        headers=headers,
    )


def id_in(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")


async def write(client: httpx.AsyncClient, headers: dict[str, str]) -> str:
    """The code of the answer to a write that would find nothing."""
    client.cookies.clear()
    answer = await client.post(
        NOBODYS_CASE,
        json={"why": "a test of the door"},
        headers={"idempotency-key": str(new_id()), **headers},
    )
    return str(answer.json()["code"])


async def reads(client: httpx.AsyncClient, headers: dict[str, str]) -> int:
    client.cookies.clear()
    return (await client.get(CURRENT, headers=headers)).status_code


async def test_the_id_is_in_a_host_cookie_that_no_script_reads_and_nowhere_else(
    client: httpx.AsyncClient, desk: Desk, database: Database
) -> None:
    answer = await sign_in(client, desk)
    assert answer.status_code == 201
    cookie = answer.headers["set-cookie"]
    assert set(cookie.split("; ")[1:]) == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert cookie.startswith("__Host-")
    assert len(id_in(answer)) == 43
    assert id_in(answer) not in answer.text
    dump = str(await database.rows("select row_to_json(s)::text from staff_sessions s"))
    assert id_in(answer) not in dump


async def test_a_planted_id_is_never_valid_not_even_after_its_bearer_signs_in(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    planted = "p" * 43
    assert await reads(client, desk.headers(planted)) == 401
    answer = await sign_in(client, desk, cookie=f"{COOKIE}={planted}")
    assert id_in(answer) != planted
    assert await reads(client, desk.headers(planted)) == 401
    assert await reads(client, desk.headers(id_in(answer))) == 200


async def test_signing_in_and_stepping_up_give_a_new_id_and_the_old_one_is_dead(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> None:
    ids = [id_in(await sign_in(client, desk))]
    for again in (False, True):
        clock.advance(timedelta(seconds=30))
        if again:
            ids.append(id_in(await sign_in(client, desk)))
        else:
            headers = desk.headers(ids[-1])
            client.cookies.clear()
            stepped = await client.post(STEP_UP, json={"totp": desk.code()}, headers=headers)
            assert stepped.status_code == 200
            assert stepped.json()["csrf_token"] != headers["x-csrf-token"]
            ids.append(id_in(stepped))
        assert await reads(client, desk.headers(ids[-2])) == 401
        assert await reads(client, desk.headers(ids[-1])) == 200
    assert len(set(ids)) == 3


async def test_a_wrong_code_keeps_the_id_and_is_counted(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    headers = desk.headers(id_in(await sign_in(client, desk)))
    client.cookies.clear()
    wrong = await client.post(STEP_UP, json={"totp": "000000"}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "otp_wrong")
    assert wrong.json()["facts"] == {"tries_left": 4}
    assert "set-cookie" not in wrong.headers
    assert await reads(client, headers) == 200


async def test_signing_out_ends_it_at_once_in_every_process_and_takes_the_cookie_back(
    client: httpx.AsyncClient,
    desk: Desk,
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    other = dialled(create_app(resources))
    headers = desk.headers(id_in(await sign_in(client, desk)))
    assert await reads(other, headers) == 200
    client.cookies.clear()
    left = await client.delete(CURRENT, headers=headers)
    assert left.status_code == 204
    assert left.headers["set-cookie"].startswith(f"{COOKIE}=; Max-Age=0; ")
    assert await reads(other, headers) == 401
    assert await reads(client, headers) == 401


COOKIES = [
    "",
    "smartid-staff={id}",
    f"{COOKIE}=",
    f"{COOKIE}={{id}}x",
    f"{COOKIE}={{id}}; {COOKIE}={'x' * 43}",
    f"{COOKIE}={'x' * 43}; {COOKIE}={{id}}",
    f"{COOKIE.lower()}={{id}}",
    f"{COOKIE}=é{{id}}",
]


async def test_one_cookie_of_the_right_name_or_nobody(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    """Two of the name: a neighbour put one there, and which is whose nobody can say."""
    found = id_in(await sign_in(client, desk))
    for cookies in COOKIES:
        client.cookies.clear()
        lines = [(b"cookie", cookies.format(id=found).encode("latin-1"))]
        assert (await client.get(CURRENT, headers=lines)).status_code == 401, cookies
    as_bearer = {"authorization": f"Bearer {found}"}
    assert (await client.get(CURRENT, headers=as_bearer)).status_code == 401
    assert await reads(client, desk.headers(found)) == 200


async def test_what_writes_carries_the_sessions_own_csrf_token(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> None:
    answer = await sign_in(client, desk)
    headers = desk.headers(id_in(answer))
    assert answer.json()["csrf_token"] == headers["x-csrf-token"]
    cookie = {"cookie": headers["cookie"]}
    assert await write(client, headers) == "not_found", "the right one is let through"
    assert await write(client, cookie) == "cross_site"
    strange = desk.headers("y" * 43)["x-csrf-token"]
    for wrong in ("", "x" * 43, strange, headers["x-csrf-token"][:-1]):
        assert await write(client, {**cookie, "x-csrf-token": wrong}) == "cross_site"
    for path, sent in ((CURRENT, "DELETE"), (STEP_UP, "POST")):
        client.cookies.clear()
        refused = await client.request(sent, path, headers=cookie, json={"totp": desk.code()})
        assert refused.json()["code"] == "cross_site"
    # A page that was loaded anew asks for it again.
    client.cookies.clear()
    again = await client.get(CURRENT, headers=cookie)
    assert again.json()["csrf_token"] == headers["x-csrf-token"]


CROSS: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": f"http://{HOST}"},
    {"origin": f"https://{HOST}.evil.example"},
    {"origin": f"https://{HOST}:8443"},
    {"origin": "null"},
    {"origin": f"https://{HOST}", "sec-fetch-site": "cross-site"},
]


async def test_what_a_browser_says_came_from_elsewhere_is_refused_everywhere(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    headers = desk.headers(id_in(await sign_in(client, desk)))
    for told in CROSS:
        refused = await sign_in(client, desk, **told)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross_site"), "login CSRF"
        assert await write(client, {**headers, **told}) == "cross_site", told
        assert await reads(client, {**headers, **told}) == 403, told
    own = {"origin": f"https://{HOST}", "sec-fetch-site": "same-origin"}
    assert await write(client, {**headers, **own}) == "not_found"
    assert await reads(client, {**headers, "sec-fetch-site": "none"}) == 200, "typed by hand"


async def test_a_write_asks_for_a_proof_of_the_last_five_minutes(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> None:
    headers = desk.headers(id_in(await sign_in(client, desk)))
    clock.advance(timedelta(minutes=4, seconds=59))
    assert await write(client, headers) == "not_found"
    clock.advance(timedelta(seconds=1))
    assert await write(client, headers) == "step_up_required"
    assert await reads(client, headers) == 200, "reading goes on"
    client.cookies.clear()
    stepped = await client.post(STEP_UP, json={"totp": desk.code()}, headers=headers)
    assert await write(client, desk.headers(id_in(stepped))) == "not_found"


async def test_stepping_up_does_not_stretch_the_eight_hours(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> None:
    answer = await sign_in(client, desk)
    ends = answer.json()["expires_at"]
    for _ in range(47):
        clock.advance(timedelta(minutes=10))
        client.cookies.clear()
        answer = await client.post(
            STEP_UP, json={"totp": desk.code()}, headers=desk.headers(id_in(answer))
        )
        assert answer.json()["expires_at"] == ends
    clock.advance(timedelta(minutes=10))
    assert await reads(client, desk.headers(id_in(answer))) == 401


async def test_two_step_ups_at_once_leave_one_living_id(
    client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
) -> None:
    """A stolen id and its owner race: one of them goes on, the other is out."""
    headers = desk.headers(id_in(await sign_in(client, desk)))
    member = desk.member("dara")
    token = headers["cookie"].partition("=")[2]

    async def renew() -> Any:
        return await desk.works.perform(
            member.actor,
            None,
            lambda work: staff_sessions.renew(work, member, token, passkey=False),
        )

    answers = await asyncio.gather(*(renew() for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(one, staff_sessions.SignedIn) for one in answers) == 1
