"""The steps of a QR payment as the phone's door takes them: scan, prepare, sign, pay."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tests.world import WorldHolder
from wallet import khqr
from wallet.access.intents import Asked, Consumed, Prepared
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, DeviceId, IntentId, new_id
from wallet.khqr import Draft, Form
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.statement import balances
from wallet.money import Currency
from wallet.outcomes import Declined, Done, GroupAnswer, Refused
from wallet.qr import PAY, PayFields
from wallet.qr.scanning import milliseconds
from wallet.teller import Lane, Teller
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
PAYING: Lane[Consumed] = Lane("qr.pay", PAY.authorise)


def code_of(clock: TurnedClock, **changed: Any) -> str:
    """A shop's code for 15,000 riel, good for ten minutes; `amount=None` makes it static."""
    sound: dict[str, Any] = {
        "form": Form.MERCHANT,
        "account": "khqr@cadi",
        "detail": "0120000123",
        "bank": "Canadia Bank",
        "name": "Lucky Market",
        "city": "Phnom Penh",
        "amount": "15000",
        "bill": new_id().hex[-12:],
        "expires_ms": milliseconds(clock.now() + timedelta(minutes=10)),
    }
    text = khqr.write(Draft(**(sound | changed)), milliseconds(clock.now()))
    assert isinstance(text, str), text
    return text


def asked(holder: WorldHolder, code: str, amount: str | None = None) -> Asked:
    return Asked(
        holder_id=holder.id,
        device_id=DeviceId(new_id()),
        bank=holder.bank,
        language="km",
        fields=PayFields(code=code, amount=amount),
    )


async def prepare(works: Works, *wishes: Asked) -> Sequence[Prepared | Refused]:
    return await works.perform(SYSTEM, wishes[0].bank, lambda work: PAY.prepare(work, wishes))


async def prepared(
    works: Works, holder: WorldHolder, code: str, amount: str | None = None
) -> Prepared:
    answer = (await prepare(works, asked(holder, code, amount)))[0]
    assert isinstance(answer, Prepared), answer
    return answer


async def refused(
    works: Works, holder: WorldHolder, code: str, amount: str | None = None
) -> Refused:
    answer = (await prepare(works, asked(holder, code, amount)))[0]
    assert isinstance(answer, Refused), answer
    return answer


async def signed(
    works: Works, holder: WorldHolder, code: str, amount: str | None = None
) -> Consumed:
    """The intent as it comes back when the phone has signed it."""
    shown = await prepared(works, holder, code, amount)
    return Consumed(
        intent_id=IntentId(new_id()),
        holder_id=holder.id,
        device_id=DeviceId(new_id()),
        device_key=bytes(65),
        bank=holder.bank,
        money=shown.money,
        payee=shown.payee,
        plan=shown.plan,
        now=works.clock.now(),
    )


async def pay(
    works: Works, teller: Teller, holder: WorldHolder, code: str, amount: str | None = None
) -> Done | Declined:
    return await teller.ask(PAYING, holder.bank, await signed(works, holder, code, amount))


async def balance(works: Works, bank: BankId, account: AccountId) -> int:
    async def query(work: Work) -> int:
        return (await balances(work, [account]))[account].posted.minor

    return await works.read(SYSTEM, bank, query)


async def settled(works: Works, currency: Currency = Currency.KHR, bank: BankId = ACLEDA) -> int:
    """What the KHQR rail is owed in the bank's books."""

    async def query(work: Work) -> int:
        account = await house_account(work, AccountKind.MERCHANT_SETTLEMENT, currency, "KHQR")
        return (await balances(work, [account]))[account].posted.minor

    return await works.perform(SYSTEM, bank, query)


async def payments(works: Works) -> list[dict[str, Any]]:
    async def query(work: Work) -> list[dict[str, Any]]:
        return [dict(row) for row in await work.rows("select * from qr_payments order by id")]

    return await works.read(SYSTEM, None, query)


def reasons(answers: Sequence[GroupAnswer]) -> list[str]:
    return ["done" if isinstance(answer, Done) else answer.reason.value for answer in answers]
