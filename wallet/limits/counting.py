"""Counting a group's acts against their limits: load, decide in turn, write.

Promise: exact under concurrency. `open_limits` reads the counters of everybody in the group with
one statement; `check`, `count` and `release` decide in plain Python, each seeing those before it;
`write` stores every changed counter with one statement, and only over the version that was read,
else the whole Work is run again. So the sum of what was allowed is never above a limit, whatever
runs beside it. What was declined counts nothing, and neither does a repeat (`move`).

Lock order, the same in every act: wallets (open_book), counters over both currencies, by key
(open_limits), the rooms' own unique rows, other counters (`write`), house accounts (book.write).
A counter in one currency needs no lock of its own: whoever changes it holds the wallet of that
holder and currency. Call `open_limits` after `open_book`, therefore.

Tables owned: limit_counters. Who calls: qr, topups, exchange, every room whose acts count.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from wallet.clock import day_of
from wallet.database import SerializationFailure
from wallet.identifiers import CardId, HolderId, TransferId
from wallet.ledger.book import Book, Posted, Posting
from wallet.ledger.transfer import TransferKind
from wallet.limits.rules import (
    Channel,
    Compiled,
    Measured,
    OwnLimits,
    Per,
    Rule,
    SetRule,
    Tier,
    Window,
    in_unit,
)
from wallet.limits.sheets import Sheets, sheets_of
from wallet.money import Money
from wallet.outcomes import Declined, Facts, Reason
from wallet.work import Work


class Want(Struct, frozen=True, kw_only=True):
    """An act that counts. `card_id` and the card's own limits, where a card is used; `also`: what
    it counts towards beyond the limits (a free number of acts); `more`: rules beside the sheet,
    asked after it; not `another`: more money of an act that was counted before; `at`: when it was
    counted, for giving it back (otherwise now)."""

    holder_id: HolderId
    money: Money
    kind: TransferKind
    channel: Channel = Channel.APP
    card_id: CardId | None = None
    own: OwnLimits | None = None
    also: tuple[Rule, ...] = ()
    more: tuple[SetRule, ...] = ()
    another: bool = True
    at: datetime | None = None


KEPT: Final = timedelta(days=70)
"""Longer than a month's window and the longest hold together."""

Key = tuple[UUID, str, date]
"""Subject, measure, first day of the window."""

Counted = tuple[Key, Rule]
"""A counter, and a rule that says how an act counts in it."""


class _Counter:
    __slots__ = ("amount", "touched", "uses", "version")

    def __init__(self, amount: int = 0, uses: int = 0, version: int = 0) -> None:
        self.amount = amount
        self.uses = uses
        self.version = version
        """0: there is no row yet."""
        self.touched = False


_NONE: Final = _Counter()
"""Stands in until the rows are read."""


class Limits:
    """One group's view of the counters it touches; written once at the end."""

    def __init__(
        self,
        work: Work,
        sheets: Sheets,
        counters: dict[Key, _Counter],
        tiers: dict[HolderId, Tier],
        keys: "dict[int, tuple[Want, list[Counted]]]",
    ) -> None:
        self._work = work
        self._sheets = sheets
        self._counters = counters
        self._tiers = tiers
        self._keys = keys
        """What the group's wants count towards, by their identity, as it was worked out to load."""
        self._entries: dict[int, _Entry] = {}

    def move(
        self, book: Book, want: Want, posting: Posting, lasts: timedelta | None = None
    ) -> Posted | Declined:
        """Post (or hold while it `lasts`) what the limits allow, and count it: once, however
        often the same transfer is asked for.

        Declines: limit_exceeded, as `check`; as `Book.post`.
        """
        if not book.seen(posting.id):
            declined = self.check(want)
            if declined is not None:
                return declined
        if lasts is None:
            posted = book.post(posting)
        else:
            posted = book.hold(posting, lasts)
        if isinstance(posted, Posted) and not posted.repeated:
            self.count(want)
        return posted

    def void(
        self, book: Book, want: Want, transfer_id: TransferId, hold_id: TransferId
    ) -> Posted | Declined:
        """Void a hold and give back what it counted; once. Declines: as `Book.void`."""
        voided = book.void(transfer_id, hold_id)
        if isinstance(voided, Posted) and not voided.repeated:
            self.release(want)
        return voided

    def capture(
        self,
        book: Book,
        want: Want,
        transfer_id: TransferId,
        hold_id: TransferId,
        captured: Money,
    ) -> Posted | Declined:
        """Capture a hold and give back what it counted beyond that. Declines: as `Book.capture`."""
        posted = book.capture(transfer_id, hold_id, captured.minor)
        if isinstance(posted, Posted) and not posted.repeated and captured < want.money:
            self.release(want, captured)
        return posted

    def check(self, want: Want) -> Declined | None:
        """Why this is not allowed, or None. Counts nothing.

        Declines: limit_exceeded, with `limit` (payment, day, month, lifetime, day_count, ...),
        `most`, `left`, and `left_minor` with `currency`, or `left_count`; `set_by` of a rule
        beside the sheet.
        """
        assert want.at is None  # noqa: S101 - what was counted before is not decided on again
        entry = self._entry(want)
        for rule, counter, amount in entry.rules:
            minor, uses = _left(rule, counter)
            if minor is not None and amount > minor:
                return _over(rule, minor)
            if uses is not None and uses < want.another:
                return _over_count(rule)
        for made, counter, amount in entry.more:
            minor, uses = _left(made.rule, counter)
            if minor is not None and amount > minor:
                return _set_by(made, _over(made.rule, minor))
            if uses is not None and uses < want.another:
                return _set_by(made, _over_count(made.rule))
        return None

    def check_size(self, want: Want) -> Declined | None:
        """Why so much is too much for one act whatever was counted, or None. Declines: as `check`,
        of the limits on one payment."""
        entry = self._entry(want)
        for rule, counter, amount in entry.rules:
            if counter is None and rule.most_minor is not None and amount > rule.most_minor:
                return _over(rule, rule.most_minor)
        for made, counter, amount in entry.more:
            most = made.rule.most_minor
            if counter is None and most is not None and amount > most:
                return _set_by(made, _over(made.rule, most))
        return None

    def left_of_each(self, want: Want) -> list[tuple[SetRule, int | None, int | None]]:
        """What each rule beside the sheet leaves: minor units, acts; None where it limits none."""
        return [(made, *_left(made.rule, counter)) for made, counter, _ in self._entry(want).more]

    def count(self, want: Want) -> None:
        """Count an act that took place."""
        for counter, amount in self._entry(want).counted:
            counter.amount += amount
            counter.uses += want.another
            counter.touched = True

    def release(self, want: Want, kept: Money | None = None) -> None:
        """Give back what was counted `at`: all of it, or its money above what is `kept`."""
        counted = self._entry(want).counted
        still = [0] * len(counted)
        if kept is not None:
            still = [amount for _, amount in self._entry(replace(want, money=kept)).counted]
        for (counter, amount), stays in zip(counted, still, strict=True):
            if counter.version == 0 and not counter.touched:
                continue  # older than the counters kept: there is nothing to give back to
            counter.amount = max(0, counter.amount - amount + stays)
            counter.uses = max(0, counter.uses - (want.another if kept is None else 0))
            counter.touched = True

    def left(self, want: Want) -> Facts:
        """What is left for more acts like this one: the tightest limit of its own currency, and
        the tightest number. Empty where nothing limits."""
        entry = self._entry(want)
        tightest: tuple[int | None, int | None] = (None, None)
        more = [(made.rule, counter, amount) for made, counter, amount in entry.more]
        for rule, counter, _ in (*entry.rules, *more):
            if counter is not None:
                minor, uses = _left(rule, counter)
                own = minor if rule.currency is want.money.currency else None
                tightest = _least(tightest[0], own), _least(tightest[1], uses)
        minor, uses = tightest
        facts: Facts = {}
        if minor is not None:
            facts["limit_left_minor"] = minor
        if uses is not None:
            facts["limit_left_count"] = uses
        return facts

    def uses(self, want: Want) -> int:
        """How often the first of `also` was counted in its window, before this act."""
        if not want.also:
            return 0
        return self._counters[_also_key(want, want.also[0], day_of(self._work.now))].uses

    def tier_of(self, holder_id: HolderId) -> Tier:
        return self._tiers.get(holder_id, Tier.FULL)

    async def write(self) -> None:
        """Store the counters that changed, each only over the version that was read."""
        touched = [key for key, counter in self._counters.items() if counter.touched]
        changed = [key for key in touched if self._counters[key].version]
        added = [key for key in touched if not self._counters[key].version]
        if changed:
            versions = [self._counters[key].version for key in changed]
            self._store(_CHANGE, changed, versions)
        if added:
            self._store(_ADD, added, self._work.bank)

    def _store(self, sql: str, keys: list[Key], also: Any) -> None:
        counters = [self._counters[key] for key in keys]
        self._work.store(
            "limit_counters",
            sql,
            *_columns(keys),
            [counter.amount for counter in counters],
            [counter.uses for counter in counters],
            also,
            rows=len(keys),
            short=SerializationFailure("a limit was counted by somebody else meanwhile"),
        )

    def _entry(self, want: Want) -> "_Entry":
        """What an act is checked against and counts towards, worked out once."""
        known = self._entries.get(id(want))
        if known is None:
            known = self._entries[id(want)] = self._worked_out(want)
        return known

    def _worked_out(self, want: Want) -> "_Entry":
        at = want.at or self._work.now
        compiled, day = self._sheets.at(at), day_of(at)
        known = self._keys.get(id(want))
        keys = list(keys_of(compiled, want, day)) if known is None else known[1]
        counted = [
            (self._counters[key], in_unit(rule, want.money, compiled.rate)) for key, rule in keys
        ]
        if want.at is not None:
            return _Entry(want, [], counted)  # to be given back: no rule is asked
        rules = [
            (
                rule,
                self._counter(subject, rule, measure, day),
                in_unit(rule, want.money, compiled.rate),
            )
            for subject, (rule, measure) in self._concerned(compiled, want)
        ]
        more = [
            (made, self._counter(made.subject, made.rule, made.measure, day), want.money.minor)
            for made in want.more
            if made.rule.currency is want.money.currency
        ]
        return _Entry(want, rules, counted, more)

    def _counter(self, subject: UUID, rule: Rule, measure: str, day: date) -> _Counter | None:
        """Where a rule's acts are counted; one within one act counts nowhere."""
        if rule.window is Window.PAYMENT:
            return None
        return self._counters[subject, measure, rule.window.start(day)]

    def _concerned(self, compiled: Compiled, want: Want) -> Iterable[tuple[UUID, Measured]]:
        tier = self.tier_of(want.holder_id)
        about = want.kind, want.channel, want.money.currency
        for measured in compiled.concerned(*about, Per.HOLDER).rules:
            if measured[0].tier in (None, tier):
                yield want.holder_id, measured
        if want.card_id is None:
            return
        for measured in compiled.concerned(*about, Per.CARD).rules:
            if measured[0].tier in (None, tier):
                yield want.card_id, measured
        for rule in want.own.rules(want.money.currency) if want.own else ():
            yield want.card_id, (rule, rule.measure)


class _Entry:
    __slots__ = ("counted", "more", "rules", "want")

    def __init__(
        self,
        want: Want,
        rules: list[tuple[Rule, _Counter | None, int]],
        counted: list[tuple[_Counter, int]],
        more: Sequence[tuple[SetRule, _Counter | None, int]] = (),
    ) -> None:
        self.more = more
        self.want = want
        """Kept, so that its id stays its own."""
        self.rules = rules
        self.counted = counted


def _left(rule: Rule, counter: _Counter | None) -> tuple[int | None, int | None]:
    """What a rule leaves: minor units, acts; None where it does not limit them."""
    amount, uses = (0, 0) if counter is None else (counter.amount, counter.uses)
    return (
        None if rule.most_minor is None else max(0, rule.most_minor - amount),
        None if rule.most_count is None else max(0, rule.most_count - uses),
    )


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


async def open_limits(work: Work, wants: Sequence[Want], *, locked: bool = True) -> Limits:
    """Load the rules and counters of a group, those over both currencies locked in key order; not
    `locked`: to be looked at only."""
    sheets = await sheets_of(work)
    counters: dict[Key, _Counter] = {}
    both: set[Key] = set()
    listed: dict[int, tuple[Want, list[Counted]]] = {}
    for want in wants:
        at = want.at or work.now
        keys = list(keys_of(sheets.at(at), want, day_of(at)))
        listed[id(want)] = want, keys
        for key, rule in keys:
            counters[key] = _NONE
            if rule.both and locked:
                both.add(key)
    tiers: dict[HolderId, Tier] = {}
    if both:
        for row in await work.rows(_LOCK, *_columns(sorted(both))):
            key = row["subject"], row["measure"], row["start"]
            counters[key] = _Counter(row["amount_minor"], row["uses"], row["version"])
    # More than asked for may come, where several measures or days meet; few columns cost less.
    subjects = list({key[0] for key in counters} | {want.holder_id for want in wants})
    measures, starts = list({key[1] for key in counters}), list({key[2] for key in counters})
    for row in await work.rows(_LOAD, subjects, measures, starts):
        if row["tier"] is not None:
            tiers[HolderId(row["subject"])] = Tier(row["tier"])
            continue
        key = row["subject"], row["measure"], row["start"]
        if counters.get(key) is _NONE:
            counters[key] = _Counter(row["amount_minor"], row["uses"], row["version"])
    for key, counter in counters.items():
        if counter is _NONE:
            counters[key] = _Counter()
    return Limits(work, sheets, counters, tiers, listed)


async def forget(work: Work, before: datetime, most: int) -> int:
    """Drop up to `most` counters of windows that began before a moment, and more than `KEPT` ago:
    nothing can count towards them or be given back to them any more. Answers how many."""
    first_kept = min(day_of(before), day_of(work.now) - KEPT)
    tag = await work.execute(_FORGET, first_kept, most)
    return int(tag.removeprefix("DELETE "))


def keys_of(compiled: Compiled, want: Want, day: date) -> Iterable[Counted]:
    """Every counter an act of this day counts towards, with a rule that says how."""
    about = want.kind, want.channel, want.money.currency
    counted = compiled.concerned(*about, Per.HOLDER).counted
    for rule, measure in counted:
        yield (want.holder_id, measure, rule.window.start(day)), rule
    for rule in want.also:
        key = _also_key(want, rule, day)
        if all(key[1] != measure for _, measure in counted):
            yield key, rule
    if want.card_id is not None:
        for rule, measure in compiled.concerned(*about, Per.CARD).counted:
            yield (want.card_id, measure, rule.window.start(day)), rule


def _also_key(want: Want, rule: Rule, day: date) -> Key:
    return want.holder_id, rule.measure, rule.window.start(day)


def _columns(keys: Iterable[Key]) -> tuple[list[UUID], list[str], list[date]]:
    listed = list(keys)
    return (
        [subject for subject, _, _ in listed],
        [measure for _, measure, _ in listed],
        [start for _, _, start in listed],
    )


def _over(rule: Rule, left_minor: int) -> Declined:
    left, most = Money(left_minor, rule.currency), Money(rule.most_minor or 0, rule.currency)
    facts: Facts = {
        "limit": rule.window.value,
        "most": most.display("en"),
        "left": left.display("en"),
        "left_minor": left.minor,
        "currency": left.currency.value,
    }
    return Declined(reason=Reason.LIMIT_EXCEEDED, facts=facts)


def _over_count(rule: Rule) -> Declined:
    facts: Facts = {
        "limit": f"{rule.window}_count",
        "most": str(rule.most_count),
        "left": "0",
        "left_count": 0,
    }
    return Declined(reason=Reason.LIMIT_EXCEEDED, facts=facts)


def _set_by(made: SetRule, over: Declined) -> Declined:
    return Declined(reason=over.reason, facts={**over.facts, "set_by": made.by})


# A day's first counting finds no row; who else inserts it meanwhile makes `write` miss its version.
_LOAD: Final = """
select subject, measure, start, amount_minor, uses, version, null as tier
from limit_counters
where subject = any($1::uuid[]) and measure = any($2::text[]) and start = any($3::date[])
union all
select holder_id, null, null, null, null, null, tier from limit_tiers where holder_id = any($1)
"""

_LOCK: Final = """
select c.subject, c.measure, c.start, c.amount_minor, c.uses, c.version
from limit_counters c
join unnest($1::uuid[], $2::text[], $3::date[]) as w (subject, measure, start)
     using (subject, measure, start)
order by c.subject, c.measure, c.start for no key update of c
"""

_FORGET: Final = """
delete from limit_counters
where (subject, measure, start) in (
    select subject, measure, start from limit_counters
    where start < $1 and start > '1970-01-01' -- lifetimes stay
    limit $2)
"""

_CHANGE: Final = """
update limit_counters c
set amount_minor = f.amount_minor, uses = f.uses, version = c.version + 1
from unnest($1::uuid[], $2::text[], $3::date[], $4::bigint[], $5::integer[], $6::integer[])
     as f (subject, measure, start, amount_minor, uses, version)
where c.subject = f.subject and c.measure = f.measure and c.start = f.start
  and c.version = f.version
"""

_ADD: Final = """
insert into limit_counters (subject, measure, start, version, amount_minor, uses, bank)
select f.subject, f.measure, f.start, 1, f.amount_minor, f.uses, $6
from unnest($1::uuid[], $2::text[], $3::date[], $4::bigint[], $5::integer[])
     as f (subject, measure, start, amount_minor, uses)
order by 1, 2, 3
on conflict do nothing
"""
