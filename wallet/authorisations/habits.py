"""Out of pattern: what is usual for a wallet, and the question put to its holder when it is not.

Promise: a purchase that would have been allowed, but fits one of the stated rules, is declined with
a question in the app; the holder's signed yes lets the shop's retry pass, once, for that merchant
and at most that amount, until the question ends. Habits are a few counters a wallet, under its
lock; no history is ever summed.

    (out of pattern) -> asked -> confirmed -> used by the retry
                              -> over at its end, confirmed or not

    rule            fits (in this order)
    first_foreign   a shop abroad, and none ever was
    new_country     a shop in a country none was in before
    unusual_amount  more than `times_usual` the average of `usual_after` purchases or more, if
                    above `least`
    many_in_hour    as many purchases within the hour already

A purchase that is taken back before its shop heard of it was none: it is no longer usual, and the
yes it used up is good for the shop's next try.

Tables owned: purchase_habits, purchase_challenges. Who calls: the group act, confirming, readers.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from wallet.authorisations.messages import Merchant
from wallet.identifiers import AccountId, CardId, HolderId
from wallet.money import Currency, Money
from wallet.work import Work

HOME: Final = "KH"
_HOUR: Final = timedelta(hours=1)


class StepUp(Struct, frozen=True, kw_only=True):
    """The rules, all of them: what is asked about, and for how long a yes is good. 0 switches a
    number's rule off."""

    first_foreign: bool = True
    new_country: bool = True
    times_usual: int = 5
    usual_after: int = 3
    least_khr: int = 200_000
    least_usd_cents: int = 50_00
    many_in_hour: int = 12
    retry_within: timedelta = timedelta(minutes=10)

    def least(self, currency: Currency) -> int:
        return self.least_khr if currency is Currency.KHR else self.least_usd_cents


class Habit(Struct, frozen=True, kw_only=True):
    """What one wallet's purchases were so far; amounts in its own currency."""

    account_id: AccountId
    purchases: int = 0
    spent_minor: int = 0
    countries: tuple[str, ...] = ()
    hour_began: datetime
    in_hour: int = 0

    def after(self, minor: int, country: str, now: datetime) -> "Habit":
        """With one more purchase."""
        fresh = now - self.hour_began >= _HOUR
        known = country in self.countries
        return replace(
            self,
            purchases=self.purchases + 1,
            spent_minor=self.spent_minor + minor,
            countries=self.countries if known else (*self.countries, country),
            hour_began=now if fresh else self.hour_began,
            in_hour=1 if fresh else self.in_hour + 1,
        )

    def without(self, minor: int, country: str | None, at: datetime) -> "Habit":
        """As if the purchase counted at `at` had not been; `country`: no other one was there."""
        counted = at >= self.hour_began and self.in_hour > 0
        return replace(
            self,
            purchases=max(self.purchases - 1, 0),
            spent_minor=max(self.spent_minor - minor, 0),
            countries=tuple(known for known in self.countries if known != country),
            in_hour=self.in_hour - 1 if counted else self.in_hour,
        )


class Challenge(Struct, frozen=True, kw_only=True):
    """A question: may this merchant have so much? In the currency the network settles in."""

    id: UUID
    holder_id: HolderId
    account_id: AccountId
    card_id: CardId
    last_four: str
    merchant_id: str
    merchant_name: str
    country: str
    settlement_minor: int
    settlement_currency: Currency
    rule: str
    made_at: datetime
    ends_at: datetime
    confirmed_at: datetime | None = None
    used_by: UUID | None = None

    @property
    def money(self) -> Money:
        return Money(self.settlement_minor, self.settlement_currency)

    def answers(self, merchant: Merchant, money: Money) -> bool:
        """Whether it is about this purchase."""
        return (
            self.used_by is None
            and self.merchant_id == merchant.id
            and self.settlement_currency is money.currency
            and money.minor <= self.settlement_minor
        )


def decide_step_up(
    rules: StepUp, habit: Habit, merchant: Merchant, money: Money, now: datetime
) -> str | None:
    """The first rule that a purchase of so much (in the wallet's currency) fits."""
    abroad = [country for country in habit.countries if country != HOME]
    if merchant.country != HOME and not abroad and rules.first_foreign:
        return "first_foreign"
    if merchant.country != HOME and merchant.country not in abroad and rules.new_country:
        return "new_country"
    if _unusual(rules, habit, money):
        return "unusual_amount"
    within = now - habit.hour_began < _HOUR
    if rules.many_in_hour and within and habit.in_hour >= rules.many_in_hour:
        return "many_in_hour"
    return None


def _unusual(rules: StepUp, habit: Habit, money: Money) -> bool:
    if not rules.times_usual or habit.purchases < max(rules.usual_after, 1):
        return False
    if money.minor <= rules.least(money.currency):
        return False
    return money.minor * habit.purchases > rules.times_usual * habit.spent_minor


class Habits:
    """One group's view of its wallets' habits and open questions."""

    def __init__(
        self, work: Work, rules: StepUp, habits: dict[int, Habit], asked: list[Challenge]
    ) -> None:
        self._work = work
        self.rules = rules
        self._habits = habits
        self._asked = {one.id: one for one in asked}
        self._changed: set[int] = set()
        self._new: list[Challenge] = []
        self._used: dict[UUID, UUID] = {}
        self._unused: dict[UUID, AccountId] = {}

    def of(self, account_id: AccountId) -> Habit:
        known = self._habits.get(account_id)
        return known or Habit(account_id=account_id, hour_began=self._work.now)

    def question(self, account_id: AccountId, merchant: Merchant, money: Money) -> Challenge | None:
        """The live question about this purchase, a confirmed one first."""
        fitting = [
            one
            for one in self._asked.values()
            if one.account_id == account_id and one.answers(merchant, money)
        ]
        fitting.sort(key=lambda one: (one.confirmed_at is None, one.made_at))
        return fitting[0] if fitting else None

    def ask(self, challenge: Challenge) -> None:
        self._asked[challenge.id] = challenge
        self._new.append(challenge)

    def use(self, challenge: Challenge, authorisation_id: UUID) -> None:
        self._asked[challenge.id] = replace(challenge, used_by=authorisation_id)
        self._used[challenge.id] = authorisation_id

    def count(self, account_id: AccountId, minor: int, country: str) -> None:
        """One more purchase was allowed."""
        self._habits[account_id] = self.of(account_id).after(minor, country, self._work.now)
        self._changed.add(account_id)

    def uncount(
        self,
        account_id: AccountId,
        minor: int,
        country: str | None,
        at: datetime,
        authorisation_id: UUID,
    ) -> None:
        """That purchase was none (`Habit.without`), and used up no answer to a question."""
        self._habits[account_id] = self.of(account_id).without(minor, country, at)
        self._changed.add(account_id)
        self._unused[authorisation_id] = account_id

    def write(self) -> None:
        changed = [self._habits[account_id] for account_id in sorted(self._changed)]
        if changed:
            self._work.store(
                "purchase_habits",
                _PUT,
                self._work.bank,
                [habit.account_id for habit in changed],
                [habit.purchases for habit in changed],
                [habit.spent_minor for habit in changed],
                [",".join(habit.countries) for habit in changed],
                [habit.hour_began for habit in changed],
                [habit.in_hour for habit in changed],
            )
        if self._new:
            columns = [[_told(one, name) for one in self._new] for name in _NEW]
            self._work.store("purchase_challenges", _ASK, self._work.bank, *columns)
        if self._used:
            used = list(self._used), list(self._used.values())
            self._work.store("purchase_challenges", _USE, *used, rows=len(self._used))
        if self._unused:
            unused = list(self._unused), list(self._unused.values())
            self._work.store("purchase_challenges", _UNUSE, *unused, self._work.now)


async def open_habits(work: Work, rules: StepUp, account_ids: Sequence[AccountId]) -> Habits:
    """Load the habits and live questions of these wallets, which the book has locked."""
    habits: dict[int, Habit] = {}
    asked: list[Challenge] = []
    if account_ids:
        for row in await work.rows(_LOAD, list(set(account_ids)), work.now):
            if row["purchases"] is not None:
                habits[row["account_id"]] = Habit(
                    account_id=row["account_id"],
                    purchases=row["purchases"],
                    spent_minor=row["spent_minor"],
                    countries=tuple(row["countries"]),
                    hour_began=row["hour_began"],
                    in_hour=row["in_hour"],
                )
            if row["id"] is not None:
                asked.append(_challenge(row))
    return Habits(work, rules, habits, asked)


async def find(work: Work, ids: Sequence[UUID], *, lock: bool = False) -> dict[UUID, Challenge]:
    """Questions by id; locked in that order for who will answer them."""
    sql = _FIND + (_LOCKED if lock else "")
    return {row["id"]: _challenge(row) for row in await work.rows(sql, list(ids))}


async def waiting(work: Work, holder_id: HolderId) -> list[Challenge]:
    """A holder's questions that are still open, newest first."""
    return [_challenge(row) for row in await work.rows(_WAITING, holder_id, work.now)]


def confirm(work: Work, ids: Sequence[UUID]) -> None:
    """The holder said yes to these."""
    work.store("purchase_challenges", _CONFIRM, list(ids), work.now, rows=len(ids))


def _challenge(row: object) -> Challenge:
    fields = {name: row[name] for name in Challenge.__struct_fields__}  # type: ignore[index]
    fields["settlement_currency"] = Currency(fields["settlement_currency"])
    return Challenge(**fields)


_NEW: Final = Challenge.__struct_fields__[:-2]


def _told(challenge: Challenge, name: str) -> object:
    value = getattr(challenge, name)
    return value.value if isinstance(value, Currency) else value


_FIELDS: Final = ", ".join(Challenge.__struct_fields__)

_LOAD: Final = """
select w.account_id, h.purchases, h.spent_minor, h.countries, h.hour_began, h.in_hour, c.*
from unnest($1::bigint[]) as w (account_id)
left join purchase_habits h on h.account_id = w.account_id
left join lateral (
    select id, holder_id, card_id, last_four, merchant_id, merchant_name, country,
           settlement_minor, settlement_currency, rule, made_at, ends_at, confirmed_at, used_by
    from purchase_challenges q
    where q.account_id = w.account_id and q.ends_at > $2 and q.used_by is null
) c on true
where h.account_id is not null or c.id is not null
"""

_FIND: Final = f"""
select {_FIELDS} from purchase_challenges where id = any($1::uuid[])
"""  # noqa: S608 - of constants

_LOCKED: Final = " order by id for no key update"

_WAITING: Final = f"""
select {_FIELDS} from purchase_challenges
where holder_id = $1 and ends_at > $2 and confirmed_at is null
order by made_at desc limit 20
"""  # noqa: S608 - of our own names

_CONFIRM: Final = """
update purchase_challenges set confirmed_at = $2 where id = any($1::uuid[]) and confirmed_at is null
"""

_PUT: Final = """
insert into purchase_habits as h (bank, account_id, purchases, spent_minor, countries, hour_began,
                                  in_hour)
select $1, n.account_id, n.purchases, n.spent_minor, string_to_array(n.countries, ','),
       n.hour_began, n.in_hour
from unnest($2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::timestamptz[],
            $7::integer[])
     as n (account_id, purchases, spent_minor, countries, hour_began, in_hour)
on conflict (account_id) do update
set purchases = excluded.purchases, spent_minor = excluded.spent_minor,
    countries = excluded.countries, hour_began = excluded.hour_began, in_hour = excluded.in_hour
"""

_ASK: Final = """
insert into purchase_challenges (bank, id, holder_id, account_id, card_id, last_four, merchant_id,
                                 merchant_name, country, settlement_minor, settlement_currency,
                                 rule, made_at, ends_at)
select $1, * from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::bigint[], $11::text[], $12::text[],
                         $13::timestamptz[], $14::timestamptz[])
"""

_USE: Final = """
update purchase_challenges c set used_by = u.used_by
from unnest($1::uuid[], $2::uuid[]) as u (id, used_by)
where c.id = u.id and c.used_by is null
"""

_UNUSE: Final = """
update purchase_challenges set used_by = null
where account_id = any($2::bigint[]) and used_by = any($1::uuid[]) and ends_at > $3
"""
