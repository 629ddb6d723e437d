"""The app set free by card and PIN at an ATM: its resting PIN and its locked codes.

Promise: nothing is set anew, only wrong tries are forgotten; the holder is told. Each unlocking
gives whoever holds the phone five tries more, so there are three a day and no more, counted one
at a time; one that finds nothing locked does not count.

    LOCKED (PIN, codes or both) --card + PIN at an ATM--> free   at most three times in 24 h

Tables owned: app_unlocks. Who calls: cards (at_machine).
"""

from datetime import timedelta
from typing import Final

from msgspec import Struct

from wallet.access import otp, pins
from wallet.events import SecurityNotice
from wallet.identifiers import BankId, HolderId, new_id
from wallet.work import Work

MOST: Final = 3
WINDOW: Final = timedelta(hours=24)


class Machine(Struct, frozen=True, kw_only=True):
    """Where the card was shown: a terminal of the acquiring bank."""

    acquirer: BankId
    terminal: str


async def unlock(work: Work, holder_id: HolderId, at: Machine) -> bool | None:
    """Forget this holder's wrong PINs and codes, card and PIN having been verified.

    True: something was locked or counted, and is free. False: nothing was. None: not now, it was
    done three times within 24 hours.
    Refuses: nothing.
    """
    await work.execute(_ONE_AT_A_TIME, str(holder_id))
    if await work.value(_TIMES, holder_id, work.now - WINDOW) >= MOST:
        return None
    pin, codes = await pins.free(work, holder_id), await otp.unlock(work, holder_id)
    if not (pin or codes):
        return False
    where = at.acquirer, at.terminal
    await work.execute(_ADD, new_id(), work.bank, holder_id, *where, work.now)
    freed = " and ".join(name for name, was in (("PIN", pin), ("codes", codes)) if was)
    work.note("app.unlock", str(holder_id), holder_id=holder_id, reason=f"{freed}, card and PIN")
    work.emit(SecurityNotice(holder_id=holder_id, what="app_unlocked"))
    return True


_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended('unlock:' || $1, 0))"

_TIMES: Final = "select count(*)::int from app_unlocks where holder_id = $1 and at > $2"

_ADD: Final = """
insert into app_unlocks (id, bank, holder_id, acquirer, terminal, at)
values ($1, $2, $3, $4, $5, $6)
"""
