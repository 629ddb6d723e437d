"""Books with some entries, a signer, and a hand that changes rows no application could change."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import world
from wallet.identifiers import AccountId, BankId
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Currency, Money
from wallet.seals import chain, sealing
from wallet.seals.proving import Known, Proved, prove_seals
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")


class PlainSigner:
    """An Ed25519 key of a test's own."""

    def __init__(self, seed: int = 1) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


SIGNER = PlainSigner()
KEYS = chain.keys_of([SIGNER.public_key])


async def some_account(works: Works) -> AccountId:
    """A house account to pay into."""

    async def act(work: Work) -> AccountId:
        return await house_account(work, AccountKind.SUSPENSE, Currency.KHR, "sealed")

    return await works.perform(SYSTEM, BANK, act)


async def pay(works: Works, count: int, *, note: bool = True) -> None:
    """`count` transfers and one audit row, in one Work."""
    account = await some_account(works)

    async def act(work: Work) -> None:
        await world._pay_in(work, [(account, Money.khr(100 + i)) for i in range(count)])
        if note:
            work.note("test.paid", f"{count} entries", reason="ការសាកល្បង")

    await works.perform(SYSTEM, BANK, act)


async def seal_all(works: Works, batch: int = 8) -> None:
    while await sealing.seal_next(works, batch=batch):
        pass
    while await sealing.sign_next(works, SIGNER):
        pass


async def found(works: Works, *, whole: bool = True, known: Sequence[Known] = ()) -> list[str]:
    """What the proof says is wrong, in words."""
    proved = await prove_seals(works, KEYS, whole=whole, known=known)
    return differences(proved)


def differences(proved: Proved) -> list[str]:
    return [f"{one.check}: {one.difference}" for one in proved.findings if not one.right]


async def tamper(url: str, sql: str, *arguments: Any) -> Any:
    """As a superuser with every trigger off."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("set session_replication_role = replica")
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()
