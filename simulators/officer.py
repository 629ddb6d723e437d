"""A member of staff as a client: signs in with passphrase, time code and passkey, asks under one
key.

Promise: a time code is used once: when the one at hand was used, the next is waited for; `used`
outlives the process through its file, and so does the passkey's counter. When a write asks for a
fresh proof, it is given and the write sent again. Who calls: demo, tests.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import httpx
import pyotp

from simulators.passkey import Authenticator

COOKIE: Final = "__Host-smartid-staff"
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
        passkey: Authenticator | None = None,
        ticket: str | None = None,
    ) -> None:
        self._client = client
        self._door = f"/v1/{door}"
        self.login = login
        self._passphrase = passphrase
        self._totp = pyotp.TOTP(totp_secret)
        self._used = used
        self._passkey = passkey
        self._ticket = ticket
        self._cookie: str | None = None
        self._csrf = ""

    async def sign_in(self) -> None:
        self._cookie = None
        answer = await self._session(
            "/sessions",
            {
                "login": self.login,
                "passphrase": self._passphrase,
                "totp": await self.fresh_code(),
            },
        )
        if answer["passkey_needed"]:
            await self._show_passkey()

    async def _show_passkey(self) -> None:
        """Show the passkey; one that is not known yet is registered with its ticket."""
        if self._passkey is None:
            raise OfficerError(403, {"code": "passkey_required"})
        try:
            options = await self._once("POST", "/sessions/current/passkey/options")
        except OfficerError as no:
            if no.code != "passkey_required":
                raise
            options = await self._once("POST", "/passkeys/options")
            credential = self._passkey.create(options["public_key"])
            body = {"name": "demo", "credential": credential, "ticket": self._ticket}
            await self._session("/passkeys", body)
            return
        self._passkey.count = self._counted()
        shown = {"credential": self._passkey.get(options["public_key"])}
        await self._session("/sessions/current/passkey", shown)

    def _counted(self) -> int:
        """The passkey's counter: kept beside the used codes, for it may never go back."""
        steps = self._kept()
        name = f"passkey:{self.login}"
        count = steps.get(name, 0)
        self._keep({**steps, name: count + 1})
        return count

    async def fresh_code(self) -> str:
        """A code not given before: the previous half minute's, if it is still free, is taken first,
        so that signing in and approving right after need no wait."""
        steps = self._kept()
        last = steps.get(self.login, 0)
        await asyncio.sleep(max(0.0, (last + 1) * STEP_S - time.time() + 0.1))
        step = max(last + 1, int(time.time() + ON_THE_WAY_S) // STEP_S - 1)
        self._keep({**self._kept(), self.login: step})
        return self._totp.at(step * STEP_S)

    def _kept(self) -> dict[str, int]:
        kept: dict[str, int] = json.loads(self._used.read_text()) if self._used.exists() else {}
        return kept

    def _keep(self, steps: dict[str, int]) -> None:
        # Whole or not at all: a phone's note of used codes outlives whoever is killed writing it.
        beside = self._used.with_suffix(".new")
        beside.write_text(json.dumps(steps))
        beside.replace(self._used)

    async def _session(self, path: str, body: dict[str, Any]) -> Any:
        """A request that gives the session a new id."""
        answer = await self._send("POST", path, body)
        told = answer.json()
        self._cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
        self._csrf = told["csrf_token"]
        return told

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
        """One request; a problem document is raised as OfficerError. An old proof is renewed."""
        try:
            return await self._once(method, path, body, key=key, content=content, query=query)
        except OfficerError as no:
            if no.code != "step_up_required":
                raise
        if self._passkey is not None:
            await self._show_passkey()
        else:
            await self._session("/sessions/current/step-up", {"totp": await self.fresh_code()})
        return await self._once(method, path, body, key=key, content=content, query=query)

    async def _once(self, method: str, path: str, *body: Any, **sent: Any) -> Any:
        answer = await self._send(method, path, *body, **sent)
        return answer.json() if answer.content else None

    async def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        content: bytes | None = None,
        query: dict[str, Any] | None = None,
    ) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        if self._cookie is not None:
            headers["cookie"] = f"{COOKIE}={self._cookie}"
            headers["x-csrf-token"] = self._csrf
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
        return answer


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
    except ValueError:
        return {}
    return found
