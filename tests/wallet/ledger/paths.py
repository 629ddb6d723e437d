"""Money moved in and out of one wallet at chosen moments, for tests about reading it back."""

from datetime import timedelta

from tests.wallet.ledger.books import new_account
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger import checkpoints
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.checkpoints import Spacing
from wallet.money import Currency, Money
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")
TIGHT = Spacing(every=8, least=3, reach=20)
"""Checkpoints close enough together that short histories meet many."""


class Path:
    """One wallet and a house account it trades with; the truth is kept beside."""

    def __init__(self, works: Works, clock: TurnedClock, wallet: AccountId, house: AccountId):
        self.works = works
        self.clock = clock
        self.wallet = wallet
        self.house = house
        self.amounts: list[int] = []

    async def move(self, amount: int, after_s: float = 1.0) -> TransferId:
        """`amount` riel into the wallet (out of it when negative), a moment later."""
        self.clock.advance(timedelta(seconds=after_s))
        moved = await self.works.perform(SYSTEM, BANK, lambda work: post(work, self, amount))
        self.amounts.append(amount)
        return moved

    async def many(self, amounts: list[int]) -> None:
        """All in one Work: one moment."""

        async def act(work: Work) -> None:
            book = await open_book(work, accounts=[self.wallet, self.house])
            for amount in amounts:
                assert isinstance(book.post(posting(self, amount)), Posted)
            await book.write()

        await self.works.perform(SYSTEM, BANK, act)
        self.amounts += amounts


async def new_path(works: Works, clock: TurnedClock) -> Path:
    wallet = await new_account(works, BANK, Currency.KHR)
    house = await new_account(works, BANK, Currency.KHR, floor=False)
    return Path(works, clock, wallet, house)


def posting(path: Path, amount: int) -> Posting:
    debit, credit = (path.house, path.wallet) if amount > 0 else (path.wallet, path.house)
    return Posting(
        id=TransferId(new_id()),
        debit=debit,
        credit=credit,
        money=Money.khr(abs(amount)),
        kind=TransferKind.TRANSFER,
    )


async def post(work: Work, path: Path, amount: int) -> TransferId:
    book = await open_book(work, accounts=[path.wallet, path.house])
    wanted = posting(path, amount)
    assert isinstance(book.post(wanted), Posted)
    await book.write()
    return wanted.id


async def settle_all(works: Works, spacing: Spacing = TIGHT, bank: BankId = BANK) -> int:
    """Rounds of the worker until nothing is left to do; answers how many checkpoints it made."""
    made = 0
    for _ in range(60):
        found = await checkpoints.keep_up(works, bank, spacing)
        made += found
        mark = await checkpoints.settle(works, bank)
        if not found and mark.seq - mark.checkpoint_seq < spacing.reach:
            return made
    raise AssertionError("checkpoints never came to an end")
