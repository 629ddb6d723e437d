"""Runs a text table against the real book: what is asked on the left, the outcome on the right.

account NAME floor|house CUR [BALANCE]
post ID DEBIT CREDIT AMOUNT => posted | again | REASON
hold ID DEBIT CREDIT AMOUNT SECONDS => ...
capture ID HOLD AMOUNT|all => ...      void ID HOLD => ...      expire ID HOLD => ...
clock SECONDS
see NAME POSTED HELD
--                                      (ends the group: what stands above is one Work)
"""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid5

from tests.wallet.ledger.books import new_account
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId
from wallet.ledger.book import Book, Posted, Posting, TransferKind, open_book
from wallet.ledger.statement import balances
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")
SPACE = UUID("00000000-0000-7000-8000-000000000000")


def transfer_id(name: str) -> TransferId:
    return TransferId(uuid5(SPACE, name))


@dataclass
class Table:
    works: Works
    clock: TurnedClock
    accounts: dict[str, AccountId] = field(default_factory=dict)
    currencies: dict[str, Currency] = field(default_factory=dict)

    async def run(self, text: str) -> None:
        group: list[str] = []
        for raw in [*text.strip().splitlines(), "--"]:
            line = raw.split("#")[0].strip()
            if not line:
                continue
            if line == "--" or line.split()[0] in ("account", "clock", "see"):
                await self._group(group)
                group = []
                if line != "--":
                    await self._line(line.split())
            else:
                group.append(line)

    async def _line(self, words: list[str]) -> None:
        match words:
            case ["account", name, floor, currency, *balance]:
                self.currencies[name] = Currency(currency)
                self.accounts[name] = await new_account(
                    self.works,
                    BANK,
                    Currency(currency),
                    int(balance[0]) if balance else 0,
                    floor=floor == "floor",
                )
            case ["clock", seconds]:
                self.clock.advance(timedelta(seconds=float(seconds)))
            case ["see", name, posted, held]:
                account = self.accounts[name]
                found = await self.works.read(SYSTEM, BANK, lambda work: balances(work, [account]))
                seen = found[account]
                assert (seen.posted.minor, seen.held.minor) == (int(posted), int(held)), name

    async def _group(self, lines: list[str]) -> None:
        if not lines:
            return
        asked = [line.partition("=>") for line in lines]

        async def act(work: Work) -> list[str]:
            words = [left.split() for left, _, _ in asked]
            book = await open_book(
                work,
                accounts=[
                    self.accounts[name]
                    for w in words
                    if w[0] in ("post", "hold")
                    for name in w[2:4]
                    if name in self.accounts
                ],
                ids=[transfer_id(w[1]) for w in words],
                holds=[transfer_id(w[2]) for w in words if w[0] in ("capture", "void", "expire")],
            )
            answers = [self._decide(book, work, w) for w in words]
            await book.write()
            return answers

        answers = await self.works.perform(SYSTEM, BANK, act)
        for (left, _, wanted), answer in zip(asked, answers, strict=True):
            assert answer == wanted.strip(), f"{left.strip()}: {answer}, not {wanted.strip()}"

    def _decide(self, book: Book, work: Work, words: list[str]) -> str:
        match words:
            case ["post", name, debit, credit, amount]:
                answer = book.post(self._posting(name, debit, credit, amount))
            case ["hold", name, debit, credit, amount, seconds]:
                expires = work.now + timedelta(seconds=float(seconds))
                answer = book.hold(self._posting(name, debit, credit, amount), expires)
            case ["capture", name, hold, amount]:
                part = None if amount == "all" else int(amount)
                answer = book.capture(transfer_id(name), transfer_id(hold), part)
            case ["void", name, hold]:
                answer = book.void(transfer_id(name), transfer_id(hold))
            case ["expire", name, hold]:
                answer = book.expire(transfer_id(name), transfer_id(hold))
            case _:
                raise AssertionError(words)
        if isinstance(answer, Declined):
            return answer.reason.value
        assert isinstance(answer, Posted)
        return "again" if answer.repeated else "posted"

    def _posting(self, name: str, debit: str, credit: str, amount: str) -> Posting:
        minor, _, currency = amount.partition("/")
        return Posting(
            id=transfer_id(name),
            debit=self.accounts.get(debit, AccountId(0)),
            credit=self.accounts.get(credit, AccountId(0)),
            money=Money(
                int(minor),
                Currency(currency) if currency else self.currencies.get(debit, Currency.KHR),
            ),
            kind=TransferKind.TRANSFER,
        )
