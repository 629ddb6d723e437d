"""What else a Smart ID may do at an ATM: see its wallets and last entries, set the app free.

Promise: read-only but for the unlocking; every look is audited and shows in the holder's own feed;
of an account no more than four digits leave, of a transfer neither the other side nor any id.
A repeat is answered afresh, as of its own moment. A frozen Smart ID shows no money, but it does
unlock the app: that is where its holder unfreezes it.
Owns no table. Who calls: the ATM door.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct

from wallet.access import devices, unlocking
from wallet.access.unlocking import Machine
from wallet.cards.presented import InReader, NotServedError, declined, presented
from wallet.cards.screens import Screen
from wallet.identifiers import last_four
from wallet.ledger import chart, statement
from wallet.money import Currency
from wallet.outcomes import Done, Outcome
from wallet.registry.states import SmartId
from wallet.vault import Vault
from wallet.work import Work

ENTRIES: Final = 10


class Standing(Struct, frozen=True, kw_only=True):
    """The card in the reader of this machine, and what it takes to know it."""

    vault: Vault
    card: InReader
    machine: Machine


async def balance(work: Work, at: Standing) -> Outcome:
    """What is in the holder's wallets now.

    Declines: ATM_DECLINED (uniform; facts.screen). Refuses: nothing.
    """

    async def show(smart_id: SmartId) -> Outcome:
        wallets = await chart.wallets_of_holder(work, smart_id.holder_id)
        found = await statement.balances(work, [wallet.id for wallet in wallets])
        shown = [_wallet(wallet, found[wallet.id]) for wallet in wallets]
        _looked(work, "atm.balance", smart_id, "balance")
        return Done(answer={"as_of": work.now.isoformat(), "wallets": shown})

    return await served(work, at, "atm.balance_declined", show)


async def mini_statement(work: Work, at: Standing, currency: Currency) -> Outcome:
    """The last ten entries of one wallet, newest first, and what is in it.

    Declines: as `balance`; also where the holder has no wallet in that currency. Refuses: nothing.
    """

    async def show(smart_id: SmartId) -> Outcome:
        wallets = await chart.wallets_of_holder(work, smart_id.holder_id)
        wallet = next((one for one in wallets if one.currency is currency), None)
        if wallet is None:
            raise NotServedError("no wallet in the currency", smart_id)
        entries = await statement.entries(work, wallet.id, limit=ENTRIES)
        found = await statement.balances(work, [wallet.id])
        _looked(work, "atm.mini_statement", smart_id, "entries", "balance")
        return Done(
            answer={
                "as_of": work.now.isoformat(),
                "wallet": _wallet(wallet, found[wallet.id]),
                "entries": [
                    {
                        "at": entry.at.isoformat(),
                        "kind": entry.kind,
                        "held": entry.phase == "hold",
                        "amount_minor": entry.amount_minor,
                        "balance_minor": entry.balance_minor,
                    }
                    for entry in entries
                ],
            }
        )

    return await served(work, at, "atm.mini_statement_declined", show)


async def unlock_app(work: Work, at: Standing) -> Outcome:
    """Set free what wrong PINs and codes have locked on the holder's paired phone.

    Declines: ATM_DECLINED (uniform; also after too many unlocks a day), PHONE_NOT_PAIRED.
    Refuses: nothing.
    """

    async def unlock(smart_id: SmartId) -> Outcome:
        if not await devices.active_of(work, [smart_id.holder_id]):
            raise NotServedError("no paired phone", smart_id, Screen.PAIR_A_PHONE)
        freed = await unlocking.unlock(work, smart_id.holder_id, at.machine)
        if freed is None:
            raise NotServedError("too many unlocks a day", smart_id)
        return Done(answer={"unlocked": freed})

    return await served(work, at, "app.unlock_declined", unlock, paying=False)


async def served(
    work: Work,
    at: Standing,
    act: str,
    serve: Callable[[SmartId], Awaitable[Outcome]],
    *,
    paying: bool = True,
) -> Outcome:
    """Serve whoever's card it is; not served, it is audited as `act`. `paying`: as `presented`.

    Declines: ATM_DECLINED (uniform; facts.screen), PHONE_NOT_PAIRED, what `serve` declines.
    Refuses: what `serve` refuses.
    """
    terminal = at.machine.terminal
    try:
        return await serve(await presented(work, at.vault, at.card, paying=paying))
    except NotServedError as no:
        return declined(work, act, no, terminal, f"{at.machine.acquirer}:{terminal}")


def _wallet(wallet: chart.Wallet, found: statement.Balance) -> dict[str, Any]:
    return {
        "account_last_four": last_four(wallet.number),
        "currency": wallet.currency.value,
        "available_minor": found.available.minor,
        "held_minor": found.held.minor,
    }


def _looked(work: Work, act: str, smart_id: SmartId, *seen: str) -> None:
    work.note(act, str(smart_id.id), holder_id=smart_id.holder_id, seen=seen)
