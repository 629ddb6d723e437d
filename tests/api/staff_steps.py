"""Staff at their doors, for tests: the seeded logins, signed in over HTTP."""

from pathlib import Path

import httpx

from runtime import demo_staff
from wallet.access import totp
from wallet.clock import TurnedClock

DOORS = {"agency_officer": "agency", "bank_clerk": "bank", "support": "support"}


async def signed_in(
    client: httpx.AsyncClient, clock: TurnedClock, data: Path, login: str
) -> dict[str, str]:
    """The headers of a fresh session of this seeded login."""
    who = next(known for known in demo_staff.logins(data) if known.login == login)
    answer = await client.post(
        f"/v1/{DOORS[who.door]}/sessions",
        json={
            "login": who.login,
            "passphrase": who.passphrase,
            "totp": totp.code_at(who.totp_secret, clock.now()),
        },
    )
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['token']}"}
