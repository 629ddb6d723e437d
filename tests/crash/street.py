"""People with phones who pay and are paid while something breaks, and what they were told.

Promise: every act keeps what its caller was told, and `Street.faults` compares it with the books:
told "done" is there exactly once, told "nothing happened" is not there, and nothing is there that
nobody asked for. Callers ask again under the same intent or key, as real ones do.

Callers: the tests of cut connections, cut power and full disks.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx
from litestar import Litestar

from simulators.phone import Phone, PhoneError
from simulators.phone_keys import unbase64url
from tests import world
from wallet import khqr
from wallet.access import devices
from wallet.access.sessions import HolderSession
from wallet.clock import Clock
from wallet.database import CONNECTION_LOST, SERVER_EXHAUSTED, Database
from wallet.identifiers import AccountId, BankId, DeviceId, HolderId, TransferId, new_id
from wallet.khqr import Draft, Form
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.money import Money
from wallet.outcomes import Done, Outcome, Reason, Refused
from wallet.qr.scanning import milliseconds
from wallet.work import SYSTEM, Work, Works

PURSE: Final = 30_000_000
SIGNATURES_ALONE: Final = """
cooling_off = { KHR = 400000, USD = 10000 }
acts = { "qr.pay" = {}, "topup.buy" = {} }
"""
"""A policy table for streets: thousands of payments a phone, which sign and bring no codes."""
NOTHING_HAPPENED: Final = frozenset({"unavailable", "busy", "in_flight"})
"""What a caller is told when the act surely did not take effect by then, in problem codes."""


NO_ANSWER_PAUSE_S: Final = 0.2


class Known:
    """Stands in for sessions, which have tests of their own: one token a phone."""

    def __init__(self, app: Litestar, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, tuple[world.WorldHolder, DeviceId]] = {}
        app.state.recognition = self

    def token(self, holder: world.WorldHolder, device_id: DeviceId) -> str:
        token = holder.id.hex.rjust(43, "t")
        self._sessions[token] = (holder, device_id)
        return token

    async def open(self, furnishing: Works, holder: world.WorldHolder, device_id: DeviceId) -> str:
        return self.token(holder, device_id)

    def last_seen(self, token: str) -> HolderId | None:
        return None

    async def of(self, token: str, *, reading: bool = False) -> HolderSession:
        holder, device_id = self._sessions[token]
        now = self._clock.now()
        return HolderSession(
            token_hash=bytes(32),
            holder_id=HolderId(holder.id),
            device_id=device_id,
            bank=holder.bank,
            language="en",
            last_seen_at=now,
            expires_at=now + timedelta(minutes=5),
            cooling=False,
        )


OpenSession = Callable[[Works, world.WorldHolder, DeviceId], Awaitable[str]]
"""Makes a token for a paired phone."""


@dataclass
class Act:
    """One thing that was asked for: `id` is what its rows go by, `told` what came back."""

    id: uuid.UUID
    how: str
    money: Money
    account: int
    sign: int
    """-1 leaves the account, +1 comes into it."""
    told: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return "done" in self.told


class Payer:
    """A holder with a paired phone."""

    def __init__(self, holder: world.WorldHolder, phone: Phone) -> None:
        self.holder = holder
        self.phone = phone


class Street:
    """Acts go through `works` and `app` (where things break); `truth` looks past all that."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        works: Works,
        truth: Database,
        chance: random.Random,
        open_session: OpenSession,
    ) -> None:
        self.works = works
        self.truth = truth
        self.chance = chance
        self.acts: list[Act] = []
        self.payers: list[Payer] = []
        self.answers: Counter[tuple[int, str]] = Counter()
        """Every answer over HTTP that was no success, by status and code."""
        self.unclean: list[str] = []
        self.otherwise: Counter[int] = Counter()
        """What came and went by acts that are judged elsewhere, by account."""
        self._client = client
        self._open_session = open_session

    async def people(self, furnishing: Works, count: int, *banks: str) -> None:
        """`count` people of each bank, with money and phones, made by Works that do not break."""
        for bank in banks or ("ACLEDA",):
            for holder in await world.people(furnishing, count, bank=bank, khr=PURSE):
                phone = Phone(self._client, now=self.works.clock.now)
                device = await furnishing.perform(
                    SYSTEM,
                    holder.bank,
                    lambda work, h=holder, p=phone: devices.admit(
                        work, h.bank, h.id, unbase64url(p.key.public), "atm"
                    ),
                )
                phone.holder_id, phone.device_id = str(holder.id), str(device.id)
                phone._token = await self._open_session(furnishing, holder, device.id)
                self.payers.append(Payer(holder, phone))

    # acts

    async def pay(self, payer: Payer, *, attempts: int = 12) -> Act | None:
        """Pay a shop by QR over HTTP, asking again while the answer is no answer. None when it
        did not come so far that anything was signed."""
        riel = self.chance.randrange(100, 9_000)
        shown = await self._prepared(payer, riel, attempts)
        if shown is None:
            return None
        act = Act(uuid.UUID(shown["id"]), "intent", Money.khr(riel), payer.holder.khr, -1)
        self.acts.append(act)
        for _ in range(attempts):
            if await self._tried(act, payer.phone.authorise(shown)) is not None:
                break
        return act

    async def keyed(self, payer: Payer, *, at_once: int = 1, attempts: int = 12) -> Act:
        """Pay into a wallet under an idempotency key, the transfer's id made anew each run."""
        act = self._gift(payer, "key")
        body = str(act.id).encode()

        async def give(work: Work) -> Outcome:
            await _give(work, act)
            return Done(answer={"given": str(act.id)})

        for _ in range(attempts):
            told = [
                await self._told(
                    act,
                    self.works.perform_once(
                        SYSTEM, payer.holder.bank, "street.gift", str(act.id), body, give
                    ),
                )
                for _ in range(at_once)
            ]
            if "done" in told:
                break
        return act

    async def unkeyed(self, payer: Payer) -> Act:
        """Pay into a wallet with nothing that a second run could be told by: only the truth about
        the COMMIT keeps it from being doubled."""
        act = self._gift(payer, "none")

        async def give(work: Work) -> None:
            await _give(work, act)

        await self._told(act, self.works.perform(SYSTEM, payer.holder.bank, give))
        return act

    def _gift(self, payer: Payer, how: str) -> Act:
        money = Money.khr(self.chance.randrange(100, 9_000))
        act = Act(new_id(), how, money, payer.holder.khr, +1)
        self.acts.append(act)
        return act

    async def _prepared(self, payer: Payer, riel: int, attempts: int) -> dict[str, Any] | None:
        code = shop_code(self.works.clock, riel)
        for _ in range(attempts):
            try:
                return await payer.phone.prepare("qr.pay", code=code)
            except httpx.TransportError:
                await asyncio.sleep(NO_ANSWER_PAUSE_S)
            except PhoneError as no:
                self._note(no)
        return None

    async def _tried(self, act: Act, asking: Any) -> str | None:
        """What an authorisation came to; None when it must be asked again."""
        try:
            await asking
        except httpx.TransportError:
            act.told.append("no answer")
            await asyncio.sleep(NO_ANSWER_PAUSE_S)
            return None
        except PhoneError as no:
            self._note(no)
            await self._heard(act, no.code)
            return None if no.problem.get("retryable") else no.code
        act.told.append("done")
        return "done"

    async def _told(self, act: Act, asking: Any) -> str:
        try:
            await asking
        except Refused as refused:
            await self._heard(act, refused.reason.value)
            return refused.reason.value
        act.told.append("done")
        return "done"

    async def _heard(self, act: Act, code: str) -> None:
        """A "nothing happened" is held against the books at once, unless they cannot be read."""
        act.told.append(code)
        if code in NOTHING_HAPPENED and code != Reason.IN_FLIGHT.value:
            try:
                found = await self._count(act)
            except (*CONNECTION_LOST, *SERVER_EXHAUSTED):
                return
            if found and not act.done:
                self.unclean.append(f"{act.how} {act.id}: told {code}, and it is there")

    def _note(self, no: PhoneError) -> None:
        self.answers[(no.status, no.code)] += 1
        if no.status not in (503, 409) or not no.problem.get("retryable"):
            self.unclean.append(f"answered {no.status} {no.code}: {no.problem}")

    # judging

    async def _count(self, act: Act) -> int:
        found = await self.truth.rows(_COUNT, act.id)
        return int(found[0]["found"])

    async def faults(self) -> list[str]:
        """Everything that is not as its caller was told; empty when all is right."""
        faults = list(self.unclean)
        rows = await self.truth.rows(_ALL)
        counted = Counter(row["act"] for row in rows)
        known = {act.id for act in self.acts}
        faults += [f"nobody asked for {act}" for act in counted if act not in known]
        balance: Counter[int] = Counter({p.holder.khr: PURSE for p in self.payers})
        balance.update(self.otherwise)
        for act in self.acts:
            found = counted[act.id]
            if (act.done and found != 1) or found > 1:
                faults.append(f"{act.how} {act.id}: {found} times, told {act.told}")
            balance[act.account] += act.sign * act.money.minor * found
        for row in await self.truth.rows(_BALANCES, list(balance)):
            if row["minor"] != balance[row["id"]]:
                faults.append(f"wallet {row['id']}: {row['minor']}, not {balance[row['id']]}")
        return faults


async def _give(work: Work, act: Act) -> None:
    treasury = await house_account(work, AccountKind.TREASURY, act.money.currency)
    posting = Posting(
        id=TransferId(new_id()),
        debit=treasury,
        credit=AccountId(act.account),
        money=act.money,
        kind=TransferKind.OPENING,
        reference=act.id,
    )
    book = await open_book(work, accounts=[posting.debit, posting.credit])
    assert isinstance(book.post(posting), Posted)
    await book.write()


def shop_code(clock: Clock, riel: int) -> str:
    """A fresh bill of a shop at another bank, good for a day."""
    now = clock.now()
    text = khqr.write(
        Draft(
            form=Form.MERCHANT,
            account="khqr@cadi",
            detail="0120000123",
            bank="Canadia Bank",
            name="Lucky Market",
            city="Phnom Penh",
            amount=str(riel),
            bill=uuid.uuid4().hex[-12:],
            expires_ms=milliseconds(now + timedelta(days=1)),
        ),
        milliseconds(now),
    )
    assert isinstance(text, str), text
    return text


def banks_of(payers: Sequence[Payer]) -> list[BankId]:
    return sorted({payer.holder.bank for payer in payers})


_COUNT: Final = """
select count(*) as found from transfers where kind in ('opening', 'qr_payment') and reference = $1
"""

_ALL: Final = """
select reference as act from transfers
where kind in ('opening', 'qr_payment') and reference is not null
"""

_BALANCES: Final = """
select id, credits_posted - debits_posted - debits_pending as minor
from accounts where id = any($1)
"""
