"""A holder's phone and the support door, over HTTP."""

from datetime import timedelta
from typing import Any

import httpx

from tests.api.signed_in import SignedIn
from tests.wallet.disputes.counter import Counter
from wallet.clock import TurnedClock
from wallet.identifiers import TransferId

NUMBER = "+85512345678"
CASE = {"reason": "DUPLICATE_CHARGE", "statement": "Charged twice."}

Answer = httpx.Response


class Office:
    """A holder's phone and the support door, over HTTP."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        signed_in: SignedIn,
        counter: Counter,
        clock: TurnedClock,
    ) -> None:
        self.client = client
        self.signed_in = signed_in
        self.counter = counter
        self.clock = clock
        self.sessions: dict[str, dict[str, str]] = {}
        self._keys = 0

    async def dispute(self, transfer_id: TransferId, key: str | None = None, **body: Any) -> Answer:
        return await self.client.post(
            "/v1/mobile/disputes",
            headers={
                **self.signed_in.headers(self.counter.holder),
                "idempotency-key": key or self.key(),
            },
            json={"transaction_id": str(transfer_id), **CASE, **body},
        )

    async def case_of(self, riel: int) -> dict[str, Any]:
        """An open case about a payment of `riel`, by the phone."""
        opened = await self.dispute(await self.counter.paid(riel))
        assert opened.status_code == 201, opened.text
        return dict(opened.json())

    async def sign_in(self, login: str) -> None:
        self.clock.advance(timedelta(seconds=30))
        self.sessions[login] = await self.counter.desk.session(login)

    async def get(self, login: str, path: str, **query: Any) -> Answer:
        return await self.client.get(
            f"/v1/support{path}", headers=self._headers(login), params=query
        )

    async def search(self, login: str, typed: str) -> Answer:
        return await self.post(login, "/search", {"q": typed})

    async def post(self, login: str, path: str, body: Any, *, key: str | None = None) -> Answer:
        return await self.client.post(
            f"/v1/support{path}",
            headers={**self._headers(login), "idempotency-key": key or self.key()},
            json=body,
        )

    async def refund(
        self,
        dispute_id: str,
        riel: int,
        *,
        login: str = "dara",
        key: str | None = None,
        source: str = "COUNTERPARTY",
    ) -> Answer:
        body = {
            "amount": {"amount_minor": riel, "currency": "KHR"},
            "source": source,
            "why": "The shop confirms it.",
        }
        return await self.post(login, f"/disputes/{dispute_id}/refunds", body, key=key)

    async def approve(
        self,
        refund_id: str,
        *,
        login: str = "bopha",
        key: str | None = None,
        totp: str | None = None,
    ) -> Answer:
        if totp is None:
            self.clock.advance(timedelta(seconds=30))
        code = totp or self.counter.desk.code()
        return await self.post(login, f"/refunds/{refund_id}/approve", {"totp": code}, key=key)

    def key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def _headers(self, login: str) -> dict[str, str]:
        return self.sessions[login]


def told(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
