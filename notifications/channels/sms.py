"""Texts to telephones, through an SMS gateway over HTTP.

Promise: a message handed over is accepted by the gateway or the caller hears of it by an
exception; `ref` makes a repeat harmless. Texts and numbers are never logged.
Who calls: delivery, and the job that sends one-time codes.
"""

from typing import Final

import httpx

TIMEOUT_S: Final = 5.0


class SmsNotAcceptedError(Exception):
    """The gateway did not take the message; says with what status, not which message."""


class HttpSms:
    """The gateway at `url`: POST {url}/messages {to, text, ref}."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._messages = f"{url.rstrip('/')}/messages"

    async def send(self, *, to: str, text: str, ref: str) -> None:
        """Hand one message over. Raises SmsNotAcceptedError."""
        body = {"to": to, "text": text, "ref": ref}
        try:
            answer = await self._client.post(self._messages, json=body, timeout=TIMEOUT_S)
        except httpx.HTTPError as error:
            raise SmsNotAcceptedError(type(error).__name__) from None
        if answer.status_code not in (200, 201, 202):
            raise SmsNotAcceptedError(str(answer.status_code))
