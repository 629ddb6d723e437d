"""Statements at the phones' door: a month of one's own wallet as a file.

Promise: a holder gets the statements of their own wallets; another's is as good as none. Files are
made by one thread of low priority beside the event loop, at most `WAITING_MOST` at a time wait for
it, and their length is bounded, so that nobody else's request is slowed. Who calls: the app.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import Parameter

from api.mobile import statement_files
from api.mobile.statement_files import Holder, Typesetter
from api.resources import Resources
from api.security import HolderCaller
from wallet.identifiers import AccountId
from wallet.ledger import chart, month
from wallet.ledger.month import MonthStatement
from wallet.outcomes import Reason, Refused
from wallet.registry import holders
from wallet.work import Work

T = TypeVar("T")

CSV_MOST: Final = 10_000
PDF_MOST: Final = 1_000
WAITING_MOST: Final = 8
NICENESS: Final = 10

File = Annotated[
    str,
    Parameter(
        description="The month, Phnom Penh days, and the form: `2026-01.csv` or `2026-01.pdf`."
    ),
]


class Press:
    """The one thread that makes files."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "statements", initializer=_step_back)
        self._typesetter: Typesetter | None = None
        self._waiting = 0

    async def make(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread. Refuses: busy when enough are waiting already."""
        if self._waiting >= WAITING_MOST:
            raise Refused(Reason.BUSY, retry_after_s=2)
        self._waiting += 1
        # Shielded: a caller that goes away still takes up the thread until its file is made.
        making = asyncio.get_running_loop().run_in_executor(self._thread, work)
        making.add_done_callback(self._made)
        return await asyncio.shield(making)

    def pdf(self, statement: MonthStatement, holder: Holder) -> bytes:
        """Called in the thread: what is slow to open is opened there, at first need."""
        if self._typesetter is None:
            self._typesetter = Typesetter()
        return self._typesetter.as_pdf(statement, holder)

    def _made(self, making: "asyncio.Future[Any]") -> None:
        self._waiting -= 1
        if not making.cancelled():
            making.exception()


def _step_back() -> None:
    """On Linux niceness is a thread's own, and the typesetter's threads inherit it."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


PRESS: Final = Press()


_DESCRIBED: Final = ResponseSpec(
    bytes,
    generate_examples=False,
    description="The file: `application/pdf`, or `text/csv` in UTF-8 with a byte order mark.",
    media_type="application/pdf",
    examples=[Example(value="%PDF-1.7 ...")],
)


@get(
    "/accounts/{account_id:int}/statements/{file:str}",
    summary="A month of one of my wallets, as CSV or PDF",
    media_type="application/pdf",
    responses={200: _DESCRIBED},
)
async def statement(
    account_id: int, file: File, caller: HolderCaller, resources: Resources
) -> Response[bytes]:
    asked, _, form = file.rpartition(".")
    if form not in _TYPES:
        raise Refused(Reason.NOT_FOUND)
    most = PDF_MOST if form == "pdf" else CSV_MOST

    async def read(work: Work) -> tuple[MonthStatement, Holder]:
        wallets = await chart.wallets_of_holder(work, caller.holder_id)
        holder = await holders.by_id(work, caller.holder_id)
        if holder is None or account_id not in {wallet.id for wallet in wallets}:
            raise Refused(Reason.NOT_FOUND)
        found = await month.of_wallet(work, AccountId(account_id), asked, most=most)
        return found, Holder(
            name_latin=holder.name_latin, name_khmer=holder.name_khmer, bank=holder.bank
        )

    found, holder = await resources.works.read(caller.actor, caller.bank, read)
    render = PRESS.pdf if form == "pdf" else statement_files.as_csv
    content = await PRESS.make(partial(render, found, holder))
    name = f"statement-{found.month}-{found.currency.value}.{form}"
    return Response(
        content,
        media_type=_TYPES[form],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


_TYPES: Final = {"csv": "text/csv", "pdf": "application/pdf"}

HANDLERS: Final[list[Any]] = [statement]
