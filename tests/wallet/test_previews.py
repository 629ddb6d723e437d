"""What an act will do is worked out by the code that does it, and shown before it is signed."""

from typing import Any

import pytest

from tests import world
from tests.behind import changed, every_table
from tests.phones import Pocket
from tests.wallet.limits.steps import put_in_force
from tests.wallet.qr_steps import ACLEDA, code_of
from wallet import topups
from wallet.access.intents import IntentKind
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.exchange import EXCHANGE, ExchangeFields, RateSheet
from wallet.fees import FeeLine, FeeSheet, Function
from wallet.ledger.statement import Balance, balances
from wallet.money import Currency
from wallet.outcomes import Done
from wallet.qr import PAY, PayFields
from wallet.teller import Teller
from wallet.terms import Sort
from wallet.topups import Buy
from wallet.vault import Vault
from wallet.work import SYSTEM, Works

KHR = Currency.KHR
FEES = FeeSheet(
    lines=(
        FeeLine(function=Function.QR_PAYMENT, currency=KHR, fee_minor=700),
        FeeLine(function=Function.TOPUP, currency=KHR, fee_minor=300),
    )
)


@pytest.fixture
async def pocket(works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Pocket:
    await put_in_force(works, clock, Sort.FEES, FEES)
    rates = RateSheet(mid_hundredths=409_850, spread_bps=50)
    await put_in_force(works, clock, Sort.RATES, rates)
    holder = await world.holder(works, khr=1_000_000, usd=100_00)
    return await Pocket(works, teller, vault, holder).pair()


@pytest.mark.parametrize("kind", [PAY, topups.BUY, EXCHANGE], ids=lambda kind: kind.name)
async def test_trap_7_what_was_shown_is_what_happened_to_the_last_unit(
    kind: IntentKind, pocket: Pocket, works: Works, clock: TurnedClock, database: Database
) -> None:
    """Trap 7: Blnk's previews are other code than its acts, and told other amounts. Asking leaves
    nothing behind but the question, and asked again it is answered the same."""
    fields: dict[str, Any] = {
        PAY.name: PayFields(code=code_of(clock)),
        topups.BUY.name: Buy(phone="012 345 600", amount="5000", currency=KHR),
        EXCHANGE.name: ExchangeFields(amount="100000", currency=KHR),
    }
    bytes_before = await every_table(database)
    shown = await pocket.prepare(kind, fields[kind.name])
    again = await pocket.prepare(kind, fields[kind.name])
    assert changed(bytes_before, await every_table(database)) <= {"intents", "accounts"}
    told = ("text", "money", "facts", "payee")
    assert [shown[name] for name in told] == [again[name] for name in told]
    money_before = await _standing(works, pocket)
    done = await pocket.authorise(kind, shown)
    assert isinstance(done, Done), done
    money_after = await _standing(works, pocket)
    spent = money_before[0].available.minor - money_after[0].available.minor
    assert spent == shown["money"]["amount_minor"] + shown["facts"].get("fee_minor", 0)
    got = money_after[1].posted.minor - money_before[1].posted.minor
    assert got == shown["facts"].get("got_minor", 0)


async def _standing(works: Works, pocket: Pocket) -> list[Balance]:
    wallets = pocket.holder.wallet_ids
    found = await works.read(SYSTEM, ACLEDA, lambda work: balances(work, wallets))
    return [found[wallet] for wallet in wallets]
