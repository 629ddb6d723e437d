"""The group act: open the controls of a group of purchases, decide each in turn, count, write.

Promise: what was decided before in the group is seen by what comes after; the money and number
are exact under concurrency (wallet.limits' counters); a version in shadow is asked and written
down, and decides nothing. Two reads a group (three where the bank's limits span both currencies),
however many are in it, and no statement of its own to write.

    controls = await open_controls(work, purchases, given_back=undone)   # after open_book
    declined = controls.decide(purchase)          # counts nothing
    controls.count(purchase)                      # once the hold stands (or the forced post)
    controls.give_back(earlier, kept)             # void, expiry, reversal: of what was counted
    controls.remaining(purchase)                  # what is left of each rule
    await controls.write()                        # before book.write

Call `open_controls` after `open_book` over the holders' wallets, as `open_limits`: whoever holds a
wallet is alone in counting for that holder and currency. It includes the bank's limit sheet and
the card's own limits: nobody asks `open_limits` beside it.

Writes through records (control_evaluations, control_shadows) and limits. Who calls: the
authorisations.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from wallet.controls import records
from wallet.controls.deciding import Compiled, SetBy, bank_subject, compiled, decide_lists
from wallet.controls.purchases import Purchase
from wallet.controls.records import Evaluation, Step, Would
from wallet.identifiers import BankId
from wallet.ledger.transfer import TransferKind
from wallet.limits import Limits, Per, SetRule, Want, Window, open_limits
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Facts
from wallet.work import Work


class Left(Struct, frozen=True, kw_only=True):
    """What one rule leaves for more purchases: None where it does not limit them."""

    set_by: str
    window: Window
    per: Per
    currency: Currency
    most_minor: int | None
    left_minor: int | None
    most_count: int | None
    left_count: int | None


class Sheets:
    """The sheets in force and in shadow that a group's purchases may be concerned by."""

    def __init__(self, bank: UUID) -> None:
        self._bank = bank
        self._live: dict[UUID, Compiled] = {}
        self._shadow: dict[UUID, tuple[UUID, Compiled]] = {}

    def add(self, state: str, sheet_id: UUID, subject: UUID, by: str, body: str) -> None:
        made = compiled(SetBy(by), body)
        if state == "LIVE":
            self._live[subject] = made
        else:
            self._shadow[subject] = sheet_id, made

    def live(self, purchase: Purchase) -> list[Compiled]:
        """Those in force, in the order they are asked."""
        found = (self._live.get(subject) for subject in self._subjects(purchase))
        return [sheet for sheet in found if sheet is not None]

    def shadows(self, purchase: Purchase) -> Iterable[tuple[UUID, list[Compiled]]]:
        """Each version in shadow, with what would be in force if it were."""
        if not self._shadow:
            return
        subjects = self._subjects(purchase)
        for subject in subjects:
            if subject in self._shadow:
                sheet_id, instead = self._shadow[subject]
                put = (instead if s == subject else self._live.get(s) for s in subjects)
                yield sheet_id, [sheet for sheet in put if sheet is not None]

    def _subjects(self, purchase: Purchase) -> tuple[UUID, UUID, UUID]:
        return self._bank, purchase.holder_id, purchase.card_id


class Controls:
    """One group's view of its controls."""

    def __init__(
        self, work: Work, sheets: Sheets, limits: Limits, wants: dict[UUID, tuple[Purchase, Want]]
    ) -> None:
        self._work = work
        self._sheets = sheets
        self.limits = limits
        """The counters under it: for what counts without a card."""
        self._wants = wants
        self._log: list[Evaluation] = []
        """What was said and done, in order."""
        self._places: dict[UUID, int] = {}
        """Where in it each purchase stands."""
        self._would: dict[UUID, list[Would]] = {}

    def decide(self, purchase: Purchase) -> Declined | None:
        """Why a purchase is not allowed, or None. Counts nothing, and writes down what was said;
        asked again for the same id (a smaller amount), the last answer is the one kept.

        Declines: CHANNEL_NOT_ALLOWED, COUNTRY_NOT_ALLOWED, MCC_NOT_ALLOWED, MERCHANT_NOT_ALLOWED,
        OUTSIDE_TIME_WINDOW (`set_by`, `rule`, what it was; `opens_at`); LIMIT_EXCEEDED (as
        `Limits.check`; `set_by` bank, holder or card).
        """
        declined = self._verdict(self._sheets.live(purchase), purchase, self._want(purchase))
        self._put(records.evaluated(purchase, Step.DECIDED, declined))
        self._would[purchase.id] = [
            Would(sheet_id=sheet_id, purchase=purchase, declined=otherwise)
            for sheet_id, sheets in self._sheets.shadows(purchase)
            if ((otherwise := self._shadowed(sheets, purchase)) is None) is not (declined is None)
        ]
        return declined

    def decide_size(self, purchase: Purchase) -> Declined | None:
        """Why so much is too much for one purchase, or None: asked of the whole of one that grew.
        Looks at no counter and writes nothing down. Declines: LIMIT_EXCEEDED."""
        return self.limits.check_size(self._want(purchase))

    def count(self, purchase: Purchase) -> None:
        """Count a purchase whose money is held; one that was not decided on (forced) too."""
        place = self._places.get(purchase.id)
        decided = None if place is None else self._log[place]
        if decided is None or decided.reason is not None:
            decided = records.evaluated(purchase, Step.FORCED, None)
        self._put(replace(decided, counted=True))
        self.limits.count(self._want(purchase))

    def give_back(self, purchase: Purchase, kept: Money | None = None) -> None:
        """Give back what was counted at `purchase.moment`: all of it, or what is above `kept`.
        Opened with `given_back`."""
        self.limits.release(self._earlier(purchase), kept)
        back = purchase.amount if kept is None else purchase.amount - kept
        self._log.append(records.given_back(purchase, back, whole=kept is None, at=self._work.now))

    def left(self, purchase: Purchase) -> Facts:
        """What is left for more purchases like this one by every rule of every party that counts:
        the least money, in its currency, and the least number. Empty where nothing limits."""
        return self.limits.left(self._want(purchase))

    def remaining(self, purchase: Purchase) -> list[Left]:
        """What each rule on money or number leaves after all that was counted so far, in the order
        they are asked. Rules of the sheets; the card's own and the bank's limit sheet not."""
        return [
            Left(
                set_by=made.by,
                window=made.rule.window,
                per=made.rule.per,
                currency=made.rule.currency,
                most_minor=made.rule.most_minor,
                left_minor=minor,
                most_count=made.rule.most_count,
                left_count=uses,
            )
            for made, minor, uses in self.limits.left_of_each(self._want(purchase))
        ]

    async def write(self) -> None:
        """Store what was decided and counted, with the Work's next statement."""
        would = [one for several in self._would.values() for one in several]
        records.store(self._work, self._log, would)
        await self.limits.write()

    def _put(self, evaluation: Evaluation) -> None:
        """Write an evaluation down in place of what was said of the same purchase before."""
        place = self._places.setdefault(evaluation.purchase.id, len(self._log))
        self._log[place : place + 1] = [evaluation]

    def _verdict(
        self, sheets: Sequence[Compiled], purchase: Purchase, want: Want
    ) -> Declined | None:
        return decide_lists(sheets, purchase) or self.limits.check(want)

    def _shadowed(self, sheets: Sequence[Compiled], purchase: Purchase) -> Declined | None:
        return self._verdict(sheets, purchase, want_of(purchase, sheets))

    def _want(self, purchase: Purchase) -> Want:
        known = self._wants.get(purchase.id)
        if known is None or known[0] is not purchase:
            want = want_of(purchase, self._sheets.live(purchase))
            known = self._wants[purchase.id] = purchase, want
        return known[1]

    def _earlier(self, purchase: Purchase) -> Want:
        return replace(want_of(purchase, ()), at=purchase.moment)


def want_of(purchase: Purchase, sheets: Sequence[Compiled]) -> Want:
    """A purchase as the limits count it."""
    more: list[SetRule] = []
    for sheet in sheets:
        more += sheet.amounts(purchase)
    return Want(
        holder_id=purchase.holder_id,
        money=purchase.amount,
        kind=TransferKind.CARD_PURCHASE,
        channel=purchase.channel,
        card_id=purchase.card_id,
        own=purchase.own,
        more=tuple(more),
        another=purchase.another,
    )


async def open_controls(
    work: Work,
    purchases: Sequence[Purchase],
    *,
    given_back: Sequence[Purchase] = (),
    locked: bool = True,
) -> Controls:
    """Load what is in force, in shadow and counted for a group. `given_back`: earlier purchases
    of which something is to be given back; not `locked`: to be looked at only. Refuses: nothing."""
    sheets = await sheets_of(work, purchases)
    wants = {one.id: (one, want_of(one, sheets.live(one))) for one in purchases}
    asked = [want for _, want in wants.values()]
    earlier = [replace(want_of(one, ()), at=one.moment) for one in given_back]
    limits = await open_limits(work, [*asked, *earlier], locked=locked)
    return Controls(work, sheets, limits, wants)


async def sheets_of(work: Work, purchases: Sequence[Purchase]) -> Sheets:
    bank = bank_subject(work.bank or BankId(""))
    sheets = Sheets(bank)
    if not purchases:
        return sheets
    subjects: set[UUID] = {bank}
    for purchase in purchases:
        subjects.update((purchase.holder_id, purchase.card_id))
    for row in await work.rows(_STANDING, list(subjects)):
        sheets.add(row["state"], row["id"], row["subject"], row["set_by"], row["body"])
    return sheets


_STANDING: Final = """
select id, subject, state, set_by, body from control_sheets
where subject = any($1) and state in ('LIVE', 'SHADOW')
"""
