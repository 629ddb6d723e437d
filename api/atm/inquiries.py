"""Balance and last entries at an ATM, and the app set free there: by card and PIN.

Promise: at most four digits of an account, no other side and no id of a transfer; a look is
answered afresh however often it is sent, and shows in the holder's own feed.
Who calls: the banks' ATM hosts.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import post
from msgspec import Meta, Struct

from api.atm.machine import CardInReader, OnScreen, answered_at, books, screen_of, standing
from api.resources import Resources
from api.security import AtmCaller
from api.wire import MoneyOut, money_out
from wallet.cards import at_machine
from wallet.cards.screens import Screen
from wallet.money import Currency, Money


class AskedStatement(CardInReader, frozen=True, kw_only=True):
    """Of which wallet."""

    currency: Literal["KHR", "USD"] = "KHR"


class AtmWallet(Struct, frozen=True, kw_only=True):
    """A wallet: `available` is what may be spent, `held` what is reserved."""

    account_last_four: Annotated[str, Meta(examples=["3453"])]
    currency: str
    available: MoneyOut
    held: MoneyOut


class AtmBalance(Struct, frozen=True, kw_only=True):
    as_of: datetime
    wallets: list[AtmWallet]


class AtmEntry(Struct, frozen=True, kw_only=True):
    """Negative when money left. `held`: reserved, not taken yet. `balance`: after it."""

    at: datetime
    kind: Annotated[str, Meta(examples=["salary"])]
    held: bool
    amount: MoneyOut
    balance: MoneyOut


class MiniStatement(Struct, frozen=True, kw_only=True):
    """The last ten entries, the newest first."""

    as_of: datetime
    wallet: AtmWallet
    entries: list[AtmEntry]


class UnlockedApp(Struct, frozen=True, kw_only=True):
    """`unlocked` is false when nothing was locked."""

    unlocked: bool
    screen: OnScreen


@post("/balance-inquiries", status_code=200, summary="What is in the holder's wallets")
async def inquire_balance(
    data: CardInReader, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> AtmBalance:
    at = standing(resources, caller, data)
    outcome = await resources.works.perform(
        caller.actor,
        books(resources, caller, data.smart_id_number),
        lambda work: at_machine.balance(work, at),
    )
    found = answered_at(outcome)
    return AtmBalance(
        as_of=datetime.fromisoformat(found["as_of"]),
        wallets=[_wallet(wallet) for wallet in found["wallets"]],
    )


@post("/mini-statements", status_code=200, summary="The last ten entries of a wallet")
async def inquire_entries(
    data: AskedStatement, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> MiniStatement:
    at, currency = standing(resources, caller, data), Currency(data.currency)
    outcome = await resources.works.perform(
        caller.actor,
        books(resources, caller, data.smart_id_number),
        lambda work: at_machine.mini_statement(work, at, currency),
    )
    found = answered_at(outcome)
    return MiniStatement(
        as_of=datetime.fromisoformat(found["as_of"]),
        wallet=_wallet(found["wallet"]),
        entries=[
            AtmEntry(
                at=datetime.fromisoformat(entry["at"]),
                kind=entry["kind"],
                held=entry["held"],
                amount=money_out(Money(entry["amount_minor"], currency)),
                balance=money_out(Money(entry["balance_minor"], currency)),
            )
            for entry in found["entries"]
        ],
    )


@post("/app-unlocks", status_code=200, summary="Set the holder's locked app free")
async def unlock_app(
    data: CardInReader, caller: AtmCaller, resources: Resources, idempotency_key: str
) -> UnlockedApp:
    at = standing(resources, caller, data)
    # A keyed hash for a body: the fingerprint of a card number must not be found by trying.
    body = resources.vault.blind_index("atm.unlock", msgspec.json.encode(data).decode())
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        books(resources, caller, data.smart_id_number),
        "app.unlock",
        idempotency_key,
        body,
        lambda work: at_machine.unlock_app(work, at),
    )
    unlocked: bool = answered_at(outcome)["unlocked"]
    return UnlockedApp(unlocked=unlocked, screen=screen_of(Screen.UNLOCKED))


def _wallet(found: dict[str, Any]) -> AtmWallet:
    currency = Currency(found["currency"])
    return AtmWallet(
        account_last_four=found["account_last_four"],
        currency=currency.value,
        available=money_out(Money(found["available_minor"], currency)),
        held=money_out(Money(found["held_minor"], currency)),
    )


HANDLERS: Final[list[Any]] = [inquire_balance, inquire_entries, unlock_app]
