"""Runs a text table against the real book: what is asked on the left, the outcome on the right.

    account NAME floor|house CUR [BALANCE]
    post ID DEBIT CREDIT AMOUNT[/CUR]               hold ID DEBIT CREDIT AMOUNT SECONDS
    most ID DEBIT CREDIT AMOUNT debit|credit|both   (balancing; with SECONDS after it, a hold)
    capture ID HOLD AMOUNT|all      void ID HOLD      expire ID HOLD
    close ID ACCOUNT AGAINST
    force ID DEBIT CREDIT AMOUNT SUSPENSE           clear ID HOLD AMOUNT SUSPENSE
    reverse ID ORIGINAL AMOUNT[/CUR]|all [by PAYER | forced SUSPENSE]
    forestall ORIGINAL DEBIT CREDIT AMOUNT REVERSAL
    +ANY ...                                        (linked with the line after it)

    => posted [AMOUNT [short AMOUNT]] | again ... | REASON [its facts in order]
       what stands is compared; a shortfall is always told

    clock SECONDS      see NAME POSTED HELD      open NAME      closed NAME
    --                 (ends the group: what stands above is one Work)

After a group that declined everything, every byte is as it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

from tests.wallet.ledger.books import fingerprint, new_account
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import (
    Balancing,
    Book,
    Posted,
    Posting,
    Reversal,
    TransferKind,
    forced_ids,
    open_book,
)
from wallet.ledger.chains import Step, decide
from wallet.ledger.statement import balances
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")
ALONE = ("account", "clock", "see", "open", "closed")
BALANCING = {
    "debit": Balancing.DEBIT,
    "credit": Balancing.CREDIT,
    "both": Balancing.BOTH,
}


def transfer_id(name: str, space: UUID = NAMESPACE_OID) -> TransferId:
    return TransferId(uuid5(space, name))


@dataclass
class Table:
    works: Works
    clock: TurnedClock
    accounts: dict[str, AccountId] = field(default_factory=dict)
    currencies: dict[str, Currency] = field(default_factory=dict)
    space: UUID = field(default_factory=new_id)
    """Names of transfers mean something within one table only."""

    async def run(self, text: str) -> None:
        group: list[str] = []
        for raw in [*text.strip().splitlines(), "--"]:
            line = raw.split("#")[0].strip()
            if not line:
                continue
            if line == "--" or line.split()[0] in ALONE:
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
            case [("open" | "closed") as state, name]:
                sql = "select closed_at is not null from accounts where id = $1"
                closed = await self.works.read(
                    SYSTEM, BANK, lambda work: work.value(sql, self.accounts[name])
                )
                assert closed is (state == "closed"), name
            case _:
                raise AssertionError(words)

    async def _group(self, lines: list[str]) -> None:
        if not lines:
            return
        asked = [line.partition("=>") for line in lines]
        words = [left.removeprefix("+").split() for left, _, _ in asked]
        before = await fingerprint(self.works)

        async def act(work: Work) -> list[Posted | Declined]:
            book = await self._open(work, words)
            steps = [
                Step(lambda w=w: self._decide(book, w), linked=left.startswith("+"))
                for (left, _, _), w in zip(asked, words, strict=True)
            ]
            answers = decide(book, steps)
            await book.write()
            return answers

        answers = await self.works.perform(SYSTEM, BANK, act)
        for (left, _, wanted), answer in zip(asked, answers, strict=True):
            said = list(told(answer))
            short = wanted.split()
            as_wanted = said[: len(short)] == short and "short" not in said[len(short) :]
            assert as_wanted, f"{left.strip()}: {' '.join(said)}, not {wanted.strip()}"
        if all(isinstance(a, Declined) or a.repeated for a in answers):
            assert await fingerprint(self.works) == before, "a rejection left something behind"

    async def _open(self, work: Work, words: list[list[str]]) -> Book:
        """Everything the lines name: more than each act needs does no harm."""
        named = {name for w in words for name in w[2:] if name in self.accounts}
        exact = {name for w in words if w[0] in ("close", "most") for name in w[2:4]}
        resolving = [w for w in words if w[0] in ("capture", "void", "expire", "clear")]
        return await open_book(
            work,
            accounts=[self.accounts[name] for name in named],
            ids=[i for w in words for i in forced_ids(self._id(w[1]))],
            holds=[self._id(w[2]) for w in resolving],
            originals=[self._id(w[2]) for w in words if w[0] == "reverse"],
            exact=[self.accounts[name] for name in exact if name in self.accounts],
        )

    def _decide(self, book: Book, words: list[str]) -> Posted | Declined:
        match words:
            case ["post", name, debit, credit, amount]:
                return book.post(self._posting(name, debit, credit, amount))
            case ["hold", name, debit, credit, amount, seconds]:
                posting = self._posting(name, debit, credit, amount)
                return book.hold(posting, timedelta(seconds=float(seconds)))
            case ["most", name, debit, credit, amount, side]:
                return book.post(self._posting(name, debit, credit, amount, BALANCING[side]))
            case ["most", name, debit, credit, amount, side, seconds]:
                posting = self._posting(name, debit, credit, amount, BALANCING[side])
                return book.hold(posting, timedelta(seconds=float(seconds)))
            case ["capture", name, hold, amount]:
                part = None if amount == "all" else int(amount)
                return book.capture(self._id(name), self._id(hold), part)
            case ["void", name, hold]:
                return book.void(self._id(name), self._id(hold))
            case ["expire", name, hold]:
                return book.expire(self._id(name), self._id(hold))
            case ["close", name, account, against]:
                return book.close(self._id(name), self._account(account), self._account(against))
            case ["force", name, debit, credit, amount, suspense]:
                posting = self._posting(name, debit, credit, amount)
                return book.force(posting, self._account(suspense))
            case ["clear", name, hold, amount, suspense]:
                ids = self._id(name), self._id(hold)
                return book.force_capture(*ids, int(amount), self._account(suspense))
            case ["forestall", original, debit, credit, amount, by]:
                posting = self._posting(original, debit, credit, amount)
                return book.forestall(posting, self._id(by))
            case ["reverse", name, original, amount, *more]:
                return self._reverse(book, name, original, amount, more)
        raise AssertionError(words)

    def _reverse(
        self, book: Book, name: str, original: str, amount: str, more: list[str]
    ) -> Posted | Declined:
        reversal = Reversal(
            id=self._id(name),
            original_id=self._id(original),
            money=None if amount == "all" else self._money(amount, Currency.KHR),
            paid_by=self._account(more[1]) if more[:1] == ["by"] else None,
        )
        suspense = self._account(more[1]) if more[:1] == ["forced"] else None
        return book.reverse(reversal, suspense)

    def _posting(
        self,
        name: str,
        debit: str,
        credit: str,
        amount: str,
        balancing: Balancing | None = None,
    ) -> Posting:
        return Posting(
            id=self._id(name),
            debit=self._account(debit),
            credit=self._account(credit),
            money=self._money(amount, self.currencies.get(debit, Currency.KHR)),
            kind=TransferKind.TRANSFER,
            balancing=balancing,
        )

    def _id(self, name: str) -> TransferId:
        return transfer_id(name, self.space)

    def _account(self, name: str) -> AccountId:
        return self.accounts.get(name, AccountId(0))

    @staticmethod
    def _money(amount: str, otherwise: Currency) -> Money:
        minor, _, currency = amount.partition("/")
        return Money(int(minor), Currency(currency) if currency else otherwise)


def told(answer: Posted | Declined) -> Iterator[str]:
    """An answer in the table's words."""
    if isinstance(answer, Declined):
        yield answer.reason.value
        yield from map(str, answer.facts.values())
        return
    yield "again" if answer.repeated else "posted"
    yield str(answer.amount_minor)
    if answer.shortfall_minor:
        yield "short"
        yield str(answer.shortfall_minor)
