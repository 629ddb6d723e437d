"""An upgrade in the middle of a day forgets nothing of what the day has counted."""

import importlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from runtime.embedded import Embedded
from tests.conftest import url_of
from tests.wallet.limits.steps import assert_counters_right, counters
from wallet import migrations
from wallet.clock import SystemClock, day_of
from wallet.database import Database
from wallet.identifiers import new_id
from wallet.work import Works

REVISION = "0010_limits_fees_exchange"


@pytest.fixture
async def before(servers: Embedded) -> AsyncIterator[str]:
    """A database of the revision before limits were counted."""
    name = f"before_{new_id().hex}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'create database "{name}"')
    revision: Any = importlib.import_module(f"wallet.migrations.versions.{REVISION}")
    await migrations.upgrade(url_of(servers, name), revision.down_revision)
    yield url_of(servers, name)
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


async def test_an_upgrade_counts_holds_and_payments_of_the_day_and_what_was_given_back(
    before: str,
) -> None:
    holder_id = new_id()
    now = SystemClock().now()
    old = await asyncpg.connect(before)
    wallet, house = [
        await old.fetchval(
            "insert into accounts (bank, kind, currency, holder_id, has_floor, opened_at)"
            " values ('ACLEDA', $1, 'KHR', $2, false, now()) returning id",
            kind,
            of,
        )
        for kind, of in (("wallet", holder_id), ("treasury", None))
    ]

    async def transfer(kind: str, phase: str, amount: int, **more: Any) -> Any:
        row = {
            "id": new_id(), "bank": "ACLEDA", "phase": phase, "kind": kind, "currency": "KHR",
            "debit_account_id": wallet, "credit_account_id": house, "amount_minor": amount,
            "at": now, "expires_at": now if phase == "hold" else None,
        } | more  # fmt: skip
        marks = ", ".join(f"${place}" for place in range(1, len(row) + 1))
        sql = f"insert into transfers ({', '.join(row)}) values ({marks}) returning id"
        return await old.fetchval(sql, *row.values())

    await transfer("qr_payment", "posted", 7_000)
    await transfer("card_fee", "posted", 12_000)  # a fee is no spending
    await transfer("salary", "posted", 9, debit_account_id=house, credit_account_id=wallet)
    await transfer("topup", "hold", 5_000)
    for phase, amount in (("void", 4_000), ("expiry", 3_000), ("capture", 2_000)):
        held = await transfer("topup", "hold", amount)
        await transfer("topup", phase, min(amount, 1_500), pending_id=held)
    yesterday = now - timedelta(days=1)
    await transfer("qr_payment", "posted", 500, at=yesterday)
    await old.close()

    await migrations.upgrade(before)

    database = await Database.connect(before)
    works = Works(database, SystemClock())
    measure = "day/any/any/KHR"
    assert await counters(works) == {
        (holder_id, measure, day_of(now)): (7_000 + 5_000 + 1_500, 3),
        (holder_id, measure, day_of(yesterday)): (500, 1),
    }
    await assert_counters_right(works)
    await database.close()
