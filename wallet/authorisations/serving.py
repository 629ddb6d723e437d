"""The group act: many messages of one bank, whatever their kinds, in one transaction.

Promise: a constant number of statements a group. Each message is decided seeing those before it; a
repeat gets the stored answer, and the same key with other content a reason of its own and no
effect. Nothing is held for a caller who has gone: a request whose deadline is over when it is
decided is declined, and one that was decided in time but answered too late is undone before its
caller hears anything.

    order of locks: cards and their Smart IDs, open holds, reversal counters, wallets, limits over
    both currencies; house accounts at the end (book). A purchase needs no lock of its own: whoever
    adds the same event second runs again.

Who calls: the sim door, later the switch door, the janitor (expiring).
"""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct, field

from wallet.authorisations import habits as habits_of
from wallet.authorisations import records
from wallet.authorisations.amounts import Rate
from wallet.authorisations.counter import Counter, House, card_of, counted_of, purchase_of
from wallet.authorisations.habits import StepUp
from wallet.authorisations.messages import REQUESTS, Kind, Message, undoing
from wallet.authorisations.records import Alone, Life, Lives
from wallet.authorisations.releasing import expire, reverse
from wallet.authorisations.requests import advise, authorise, increment, inquire
from wallet.authorisations.retaking import take_again
from wallet.authorisations.settling import clear, give_back
from wallet.authorisations.states import Counted, Standing
from wallet.cards.purchasing import Tray, open_tray
from wallet.cards.rules import Issuing
from wallet.clock import Clock
from wallet.controls import Controls, Purchase, open_controls
from wallet.exchange import rates_of
from wallet.fees import fee_id, fees_of
from wallet.identifiers import AccountId, CardId, TransferId
from wallet.ledger.book import Book, open_book
from wallet.ledger.chart import AccountKind, house_account
from wallet.ledger.transfer import excess_id
from wallet.money import Currency
from wallet.outcomes import Declined, Done, GroupAnswer, Outcome, Reason
from wallet.teller import PATIENCE_S, UNTIL_SERVED, Lane, Teller
from wallet.turns import Priority
from wallet.work import Work

CARDS: Final = "CARDS"
"""Which of the switch settlement accounts: the one purchases with cards are settled over."""

GROUP_MOST: Final = 256


class Network(Struct, frozen=True, kw_only=True):
    """What deciding on purchases needs beside a Work: the cards' vault and rules, and the rules of
    what is out of pattern."""

    issuing: Issuing
    step_up: StepUp = field(default_factory=StepUp)


class Desk:
    """Where messages are handed in, one by one; served in groups, those that undo money first."""

    def __init__(self, teller: Teller, clock: Clock, network: Network) -> None:
        self._teller = teller
        self._clock = clock

        async def act(work: Work, messages: Sequence[Message]) -> Sequence[GroupAnswer]:
            return await serve(work, network, messages)

        def lane(name: str, priority: Priority, patience_s: float) -> Lane[Message]:
            return Lane(
                f"purchase.{name}",
                act,
                priority=priority,
                group_most=GROUP_MOST,
                patience_s=patience_s,
                about=_about,
            )

        self._requests = lane("request", Priority.AUTHORISATION, PATIENCE_S)
        # What happened already, or undoes what we did, is taken however late it comes to its turn.
        self._releases = lane("release", Priority.REVERSAL, UNTIL_SERVED)
        self._settlements = lane("settle", Priority.PAYMENT, UNTIL_SERVED)

    async def ask(self, message: Message) -> Outcome:
        """Serve one message. Refuses: busy, in_flight, unavailable, outcome_unknown (nothing is
        known to have happened: the network asks again, or reverses)."""
        answer = await self._teller.ask(self._lane(message), message.bank, message)
        late = message.deadline is not None and self._clock.now() >= message.deadline
        if late and isinstance(answer, Done) and message.kind in REQUESTS:
            return await self._teller.ask(self._releases, message.bank, undoing(message))
        return answer

    def _lane(self, message: Message) -> Lane[Message]:
        if message.kind in REQUESTS:
            return self._requests
        if message.kind in (Kind.REVERSAL, Kind.EXPIRY):
            return self._releases
        return self._settlements


def _about(message: Message) -> tuple[CardId | bytes | str, str]:
    """The card and the purchase, as they are named."""
    return message.card_id or message.number_index or "", message.lifecycle


async def serve(work: Work, network: Network, messages: Sequence[Message]) -> Sequence[GroupAnswer]:
    """Serve a group. Answers each message; see requests, settling and releasing for the reasons.

    Declines besides: message_differs (a key seen before, with other content).
    """
    lives = await records.open_lives(work, messages)
    fresh = [message for message in messages if lives.answered(message) is None]
    if not fresh and not _differing(lives, messages):
        return [_again(lives, message) for message in messages]
    alone = await _alone(work, lives, fresh)
    tray = await _tray(work, network.issuing, lives, fresh)
    await tray.look_back(alone.on_card)
    house = await house_of(work)
    fees = (await fees_of(work)).at(work.now)
    rate = await _rate(work)
    book = await _book(work, lives, fresh, tray, house)
    wallets = [account for account in _wallets(lives, fresh, tray) if account in book.accounts]
    usual = any(message.kind in _HABITUAL or message.unheard for message in fresh)
    habits = await habits_of.open_habits(work, network.step_up, wallets if usual else [])
    controls = await _controls(work, lives, fresh, tray)
    counter = Counter(
        work,
        book=book,
        controls=controls,
        lives=lives,
        tray=tray,
        habits=habits,
        house=house,
        fees=fees,
        rate=rate,
        alone=alone,
    )
    answers = [_served(counter, message) for message in messages]
    tray.write()
    habits.write()
    records.write(work, lives, counter.cases)
    await controls.write()
    await book.write()
    for event in counter.told:
        work.emit(event)
    return answers


def _served(counter: Counter, message: Message) -> GroupAnswer:
    if counter.lives.answered(message) is not None:
        again = _again(counter.lives, message)
        if isinstance(again, Declined) and again.reason is Reason.MESSAGE_DIFFERS:
            counter.work.note("authorisation.message_differs", message.message_key)
        return again
    return _ACTS[message.kind](counter, message, counter.lives.of(message))


def _again(lives: Lives, message: Message) -> GroupAnswer:
    """The stored answer to a message seen before."""
    event = lives.answered(message)
    assert event is not None  # noqa: S101 - asked before
    own = event.message_key == message.message_key
    if own and event.fingerprint != message.fingerprint:
        return Declined(reason=Reason.MESSAGE_DIFFERS)
    return event.outcome


def _differing(lives: Lives, messages: Sequence[Message]) -> bool:
    again = [_again(lives, message) for message in messages]
    return any(isinstance(a, Declined) and a.reason is Reason.MESSAGE_DIFFERS for a in again)


Act = Callable[[Counter, Message, Life], Outcome]

_ACTS: Final[dict[Kind, Act]] = {
    Kind.AUTHORIZATION: authorise,
    Kind.FINANCIAL: authorise,
    Kind.BALANCE_INQUIRY: inquire,
    Kind.INCREMENT: increment,
    Kind.ADVICE: advise,
    Kind.REVERSAL: reverse,
    Kind.EXPIRY: expire,
    Kind.CLEARING: clear,
    Kind.FORCE_POST: clear,
    Kind.RETURN: give_back,
    Kind.RETURN_REVERSAL: take_again,
}

_HABITUAL: Final = frozenset({Kind.AUTHORIZATION, Kind.FINANCIAL})


async def _alone(work: Work, lives: Lives, messages: Sequence[Message]) -> Alone:
    """What has to be known of purchases that are taken back before their shop heard of them."""
    unheard = [lives.found(message) for message in messages if message.unheard]
    return await records.alone(work, [life for life in unheard if life is not None])


async def _tray(work: Work, issuing: Issuing, lives: Lives, messages: Sequence[Message]) -> Tray:
    """The cards of messages that may need one: those that begin a purchase, increments, and the
    taking back of what no shop has heard of."""
    ids: set[CardId] = set()
    indexes: set[bytes] = set()
    for message in messages:
        life = lives.found(message)
        if life is None or life.purchase is None or life.purchase.card_id is None:
            if message.number_index is not None:
                indexes.add(message.number_index)
            elif message.card_id is not None:
                ids.add(message.card_id)
        elif message.kind is Kind.INCREMENT or message.unheard:
            ids.add(life.purchase.card_id)
    if not ids and not indexes:
        return Tray(work, issuing, [])
    return await open_tray(work, issuing, ids=sorted(ids), indexes=sorted(indexes))


async def house_of(work: Work) -> House:
    """The bank's own accounts that purchases touch."""

    async def each(kind: AccountKind, detail: str = "") -> dict[Currency, AccountId]:
        return {c: await house_account(work, kind, c, detail) for c in Currency}

    return House(
        settlement=await each(AccountKind.SWITCH_SETTLEMENT, CARDS),
        position=await each(AccountKind.FX_POSITION),
        spread=await each(AccountKind.FX_SPREAD),
        rounding=await each(AccountKind.FX_ROUNDING),
        suspense=await each(AccountKind.SUSPENSE, CARDS),
        fees=await each(AccountKind.FEES, "card_purchase"),
    )


async def _rate(work: Work) -> Rate | None:
    term = (await rates_of(work)).at(work.now)
    if term is None:
        return None
    return Rate(
        id=term.id, mid_hundredths=term.what.mid_hundredths, spread_bps=term.what.spread_bps
    )


def _wallets(lives: Lives, messages: Sequence[Message], tray: Tray) -> list[AccountId]:
    accounts: set[AccountId] = set()
    for message in messages:
        life = lives.found(message)
        if life is not None and life.purchase is not None and life.purchase.account_id is not None:
            accounts.add(life.purchase.account_id)
    accounts.update(card.account_id for card in tray.cards())
    return sorted(accounts)


async def _book(
    work: Work, lives: Lives, messages: Sequence[Message], tray: Tray, house: House
) -> Book:
    holds: set[UUID] = set()
    originals: set[UUID] = set()
    for message in messages:
        life = lives.found(message)
        if life is None or not life.events:
            continue
        if life.standing.hold_id is not None:
            holds.add(life.standing.hold_id)
        if message.kind is Kind.RETURN or (
            message.kind is Kind.REVERSAL and life.events[0].kind is Kind.FINANCIAL
        ):
            taken = [event.transfer_id for event in life.events if event.transfer_id is not None]
            originals.update(taken)
            originals.update(excess_id(transfer_id) for transfer_id in taken)
            originals.update(fee_id(TransferId(e.id)) for e in life.events if e.fee_minor)
    return await open_book(
        work,
        accounts=[*_wallets(lives, messages, tray), *house.every()],
        holds=[TransferId(hold) for hold in sorted(holds)],
        originals=[TransferId(original) for original in sorted(originals)],
    )


async def _controls(work: Work, lives: Lives, messages: Sequence[Message], tray: Tray) -> Controls:
    """Everything that may be asked about or given back: amounts are not known yet, nor needed."""
    asked: list[Purchase] = []
    given_back: list[Purchase] = []
    for message in messages:
        life = lives.found(message)
        now = Counted(id=message.event_id, minor=0, at=work.now)
        if life is not None and life.purchase is not None:
            if life.purchase.card_id is None:
                continue
            purchase, standing = life.purchase, life.standing
            given_back += [counted_of(purchase, part, standing) for part in standing.counted]
            asked.append(counted_of(purchase, now, standing))
            continue
        named = card_of(tray, message)
        for card in () if named is None else tray.lineage(named):
            standing = Standing(settlement=card.currency, wallet=card.currency)
            asked.append(counted_of(purchase_of(message, card, work.now), now, standing))
    return await open_controls(work, asked, given_back=given_back)
