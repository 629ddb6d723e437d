"""Which limit sheet holds when. Who calls: counting."""

from datetime import datetime
from typing import Final

from wallet.limits.rules import DEFAULT, Compiled
from wallet.work import Work


class Sheets:
    """A bank's limit sheets, by the moment each takes effect."""

    def at(self, moment: datetime) -> Compiled:
        return _DEFAULT


async def sheets_of(work: Work) -> Sheets:
    return Sheets()


_DEFAULT: Final = Compiled(DEFAULT)
