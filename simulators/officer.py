"""A member of staff as a client: signs in with passphrase and time code, asks under one key.

Promise: a time code is used once: when the one at hand was used, the next is waited for; `used`
outlives the process through its file. Who calls: demo, tests.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import httpx
import pyotp

STEP_S: Final = 30
ON_THE_WAY_S: Final = 10
"""How long a code may travel and still be good: staff's counts in its own half minute and in the
next one, never before."""


class OfficerError(Exception):
    """The API said no: `code` is its stable code."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.problem = problem
        super().__init__(f"{status} {self.code} {problem.get('fields') or ''}".strip())


class Officer:
    """One person at one door (`agency`, `bank`, `support`)."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        door: str,
        login: str,
        passphrase: str,
        totp_secret: str,
        used: Path,
    ) -> None:
        self._client = client
        self._door = f"/v1/{door}"
        self.login = login
        self._passphrase = passphrase
        self._totp = pyotp.TOTP(totp_secret)
        self._used = used
        self._token: str | None = None

    async def sign_in(self) -> None:
        answer = await self.call(
            "POST",
            "/sessions",
            {
                "login": self.login,
                "passphrase": self._passphrase,
                "totp": await self.fresh_code(),
            },
        )
        self._token = answer["token"]

    async def fresh_code(self) -> str:
        """A code not given before: the previous half minute's, if it is still free, is taken first,
        so that signing in and approving right after need no wait."""
        steps: dict[str, int] = json.loads(self._used.read_text()) if self._used.exists() else {}
        last = steps.get(self.login, 0)
        await asyncio.sleep(max(0.0, (last + 1) * STEP_S - time.time() + 0.1))
        step = max(last + 1, int(time.time() + ON_THE_WAY_S) // STEP_S - 1)
        steps[self.login] = step
        # Whole or not at all: a phone's note of used codes outlives whoever is killed writing it.
        beside = self._used.with_suffix(".new")
        beside.write_text(json.dumps(steps))
        beside.replace(self._used)
        return self._totp.at(step * STEP_S)

    async def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        content: bytes | None = None,
        query: dict[str, Any] | None = None,
    ) -> Any:
        """One request; a problem document is raised as OfficerError."""
        headers = {} if key is None else {"idempotency-key": key}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token}"
        if content is not None:
            headers["content-type"] = "text/csv"
        answer = await self._client.request(
            method,
            self._door + path,
            json=body,
            content=content,
            params=query,
            headers=headers,
        )
        if not answer.is_success:
            raise OfficerError(answer.status_code, _problem(answer))
        return answer.json() if answer.content else None


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
    except ValueError:
        return {}
    return found
