"""Accounts and checks for ledger tests."""

from wallet.identifiers import AccountId, BankId, HolderId, TransferId, luhn_digit, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.chart import AccountKind, NewWallet, house_account, open_wallets
from wallet.ledger.proof import CHECKS, prove
from wallet.money import Currency, Money
from wallet.work import SYSTEM, Work, Works


async def new_account(
    works: Works, bank: BankId, currency: Currency, balance: int = 0, *, floor: bool = True
) -> AccountId:
    """A fresh wallet (or house account) holding `balance`, funded from the treasury."""

    async def act(work: Work) -> AccountId:
        treasury = await house_account(work, AccountKind.TREASURY, currency)
        if floor:
            digits = f"{new_id().int % 10**9:09d}"
            number = digits + luhn_digit(digits)
            wallet = NewWallet(holder_id=HolderId(new_id()), currency=currency, number=number)
            account = (await open_wallets(work, [wallet]))[number]
        else:
            account = await house_account(work, AccountKind.SUSPENSE, currency, new_id().hex)
        if balance:
            book = await open_book(work, accounts=[treasury, account])
            answer = book.post(
                Posting(
                    id=TransferId(new_id()),
                    debit=treasury,
                    credit=account,
                    money=Money(balance, currency),
                    kind=TransferKind.OPENING,
                )
            )
            assert isinstance(answer, Posted)
            await book.write()
        return account

    return await works.perform(SYSTEM, bank, act)


async def assert_books_right(works: Works) -> None:
    for finding in await prove(works, CHECKS):
        assert finding.right, f"{finding.check}: {finding.difference}"


async def fingerprint(works: Works) -> str:
    """Every byte of what a transaction may leave behind; equal when nothing was left."""

    async def read(work: Work) -> str:
        return str(await work.value(_FINGERPRINT))

    return await works.read(SYSTEM, None, read)


_LEFT_BEHIND = ("accounts", "transfers", "open_holds", "reversals", "shortfalls", "audit", "events")
_FINGERPRINT = "select concat_ws('|', {})".format(
    ", ".join(
        f"(select md5(string_agg(t::text, '\n' order by t::text)) from {table} t)"
        for table in _LEFT_BEHIND
    )
)
