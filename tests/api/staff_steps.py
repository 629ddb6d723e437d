"""Staff at their doors, for tests: the seeded logins, signed in over HTTP."""

from pathlib import Path

import httpx

from runtime import demo_staff
from simulators.passkey import Authenticator
from tests.desk import COOKIE, HOST
from wallet.access import totp
from wallet.clock import TurnedClock

DOORS = {"agency_officer": "agency", "bank_clerk": "bank", "support": "support"}


async def signed_in(
    client: httpx.AsyncClient, clock: TurnedClock, data: Path, login: str
) -> dict[str, str]:
    """The headers of a fresh session of this seeded login."""
    who = next(known for known in demo_staff.logins(data) if known.login == login)
    door = f"/v1/{DOORS[who.door]}"
    answer = await client.post(
        f"{door}/sessions",
        json={
            "login": who.login,
            "passphrase": who.passphrase,
            "totp": totp.code_at(who.totp_secret, clock.now()),
        },
    )
    assert answer.status_code == 201, answer.text
    headers = _session(client, answer)
    if answer.json()["passkey_needed"]:
        assert who.passkey is not None
        key = Authenticator(HOST, private_key=int(who.passkey, 16))
        options = await client.post(f"{door}/passkeys/options", headers=headers)
        body = {
            "name": "seeded",
            "credential": key.create(options.json()["public_key"]),
            "ticket": who.passkey_ticket,
        }
        shown = await client.post(f"{door}/passkeys", headers=headers, json=body)
        assert shown.status_code == 201, shown.text
        headers = _session(client, shown)
    return headers


def _session(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, str]:
    """The headers; several people share this client, so each sends their own cookie."""
    token = answer.cookies[COOKIE]
    client.cookies.clear()
    return {"cookie": f"{COOKIE}={token}", "x-csrf-token": answer.json()["csrf_token"]}
