"""A virtual card in a phone's wallet: its tokens, asked for and given up by the holder.

Promise: a token is made only by a signed act with a one-time password; it pays as long as its card
does, is suspended while the card stands still, and deleted with it. Giving one up is the safe side
and asks for nothing. What the token service is told is done by durable jobs (tokenising).

    token      becomes, when its card                   or
    REQUESTED  ACTIVE (usable)                           DELETED (given up, or turned down)
    ACTIVE     SUSPENDED (frozen)  DELETED (over)        DELETED (given up)
    SUSPENDED  ACTIVE (usable again)  DELETED (over)     DELETED (given up)
    DELETED    -

Tables owned: card_tokens, and that a card has tokens in virtual_cards.
Who calls: intents (through `kind`), the mobile door, tokenising.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import rows, wording
from wallet.cards.changing import TOKENS_JOB
from wallet.cards.create import actor_of, decide_shown
from wallet.cards.purchasing import decide_usable
from wallet.cards.rules import Issuing
from wallet.cards.states import OVER, Card, CardState
from wallet.cards.token_service import TokenState
from wallet.identifiers import BankId, CardId, HolderId, new_id
from wallet.outcomes import Declined, Done, GroupAnswer, Outcome, Reason, Refused
from wallet.work import Work


class TokeniseCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    card_id: CardId
    wallet: Literal["apple", "google", "samsung"]
    device_name: Annotated[str, Meta(min_length=1, max_length=40)]


class Token(Struct, frozen=True, kw_only=True):
    """A token with what we last heard of it. `asking`: ordered and not answered yet."""

    id: UUID
    bank: BankId
    holder_id: HolderId
    card_id: CardId
    wallet: str
    device_name: str
    state: TokenState
    unwanted: bool
    version: int
    asking: TokenState | None
    asking_until: datetime | None
    made_at: datetime

    def at_version(self, version: int) -> "Token":
        """The token as it stands after the order of that version was marked."""
        return replace(self, version=version)

    def view(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "card_id": str(self.card_id),
            "wallet": self.wallet,
            "device_name": self.device_name,
            "state": self.state.value,
            "made_at": self.made_at.isoformat(),
        }


def decide_wanted(token: Token, card: Card, moment: datetime) -> TokenState:
    """The state the token shall be in while its card stands as it does."""
    standing = card.standing(moment)
    if token.unwanted or standing in OVER or token.state is TokenState.DELETED:
        return TokenState.DELETED
    return TokenState.ACTIVE if standing is CardState.ACTIVE else TokenState.SUSPENDED


class _Plan(Struct, frozen=True, kw_only=True):
    token_id: UUID
    card_id: CardId
    wallet: str
    device_name: str


def kind(issuing: Issuing) -> IntentKind:
    return IntentKind(
        name="card.tokenise",
        fields=TokeniseCard,
        prepare=partial(_prepare, issuing),
        authorise=partial(_authorise, issuing),
    )


async def _prepare(
    issuing: Issuing, work: Work, asked: Sequence[Asked]
) -> Sequence[Prepared | Refused]:
    """Refuses: NOT_FOUND, INVALID_REQUEST (device_name), TOKEN_LIMIT_REACHED, and why the card is
    not usable now (purchasing.decide_usable)."""
    ids = [one.fields.card_id for one in asked]
    cards, counts = await rows.by_ids(work, ids), await _counts(work, ids)
    answers: list[Prepared | Refused] = []
    for one in asked:
        card = cards.get(one.fields.card_id)
        try:
            answers.append(_prepared(issuing, work, one, card, counts))
        except Refused as refused:
            answers.append(refused)
    return answers


def _prepared(
    issuing: Issuing, work: Work, one: Asked, card: Card | None, counts: dict[CardId, int]
) -> Prepared:
    if card is None or card.holder_id != one.holder_id:
        raise Refused(Reason.NOT_FOUND)
    device = decide_shown("device_name", one.fields.device_name)
    no = _decide(issuing, work, card, counts.get(card.id, 0))
    if no is not None or not device:
        raise Refused(no.reason if no else Reason.INVALID_REQUEST)
    sentence = wording.tokenise(card, one.fields.wallet, device)
    plan = _Plan(token_id=new_id(), card_id=card.id, wallet=one.fields.wallet, device_name=device)
    return Prepared(
        text_en=sentence.en,
        text_km=sentence.km,
        plan=msgspec.to_builtins(plan),
        facts={"last_four": card.last_four},
    )


async def _authorise(
    issuing: Issuing, work: Work, consumed: Sequence[Consumed]
) -> Sequence[GroupAnswer]:
    """Declines: as `_prepare` refuses, by now."""
    plans = [msgspec.convert(one.plan, _Plan) for one in consumed]
    ids = [plan.card_id for plan in plans]
    cards = await rows.locked(work, ids)
    counts = await _counts(work, ids)
    answers: list[GroupAnswer] = []
    made: list[tuple[_Plan, Card]] = []
    for one, plan in zip(consumed, plans, strict=True):
        card = cards.get(plan.card_id)
        if card is None or card.holder_id != one.holder_id:
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        no: Declined | None = _decide(issuing, work, card, counts.get(card.id, 0))
        if no is not None:
            answers.append(no)
            continue
        counts[card.id] = counts.get(card.id, 0) + 1
        made.append((plan, card))
        work.note("card.tokenise", str(card.id), holder_id=card.holder_id, actor=actor_of(one))
        work.later(TOKENS_JOB, {"bank": card.bank, "card_id": str(card.id)})
        answers.append(Done(answer={"token_id": str(plan.token_id), "state": "REQUESTED"}))
    await _add(work, made)
    return answers


def _decide(issuing: Issuing, work: Work, card: Card, tokens: int) -> Declined | None:
    no = decide_usable(card, work.now)
    if no is None and tokens >= issuing.rules.tokens_per_card:
        most = issuing.rules.tokens_per_card
        return Declined(reason=Reason.TOKEN_LIMIT_REACHED, facts={"limit": most})
    return no


async def _add(work: Work, made: Sequence[tuple[_Plan, Card]]) -> None:
    if not made:
        return
    await work.execute(
        _ADD,
        work.bank,
        work.now,
        [plan.token_id for plan, _ in made],
        [card.holder_id for _, card in made],
        [card.id for _, card in made],
        [plan.wallet for plan, _ in made],
        [plan.device_name for plan, _ in made],
    )
    await work.execute(_MARK, [card.id for _, card in made])


async def give_up(work: Work, holder_id: HolderId, token_id: UUID) -> Outcome:
    """Take a card out of one phone's wallet: at once for us, soon for the token service.

    Given up already is Done. Refuses: NOT_FOUND.
    """
    token = await work.struct(Token, _BY_ID, token_id)
    if token is None or token.holder_id != holder_id:
        raise Refused(Reason.NOT_FOUND)
    if not token.unwanted and token.state is not TokenState.DELETED:
        await work.execute(_UNWANTED, token_id, work.now)
        work.note("card.token_give_up", str(token.card_id), holder_id=holder_id)
        work.later(TOKENS_JOB, {"bank": token.bank, "card_id": str(token.card_id)})
    return Done(answer={"token": token.view() | {"state": TokenState.DELETED.value}})


async def of_card(work: Work, card_id: CardId) -> list[Token]:
    """A card's tokens, the newest first."""
    return await work.structs(Token, _OF_CARD, card_id)


async def locked_of(work: Work, card_id: CardId) -> list[Token]:
    """A card's tokens that are not deleted, locked. The card is locked before."""
    return await work.structs(Token, _LOCK, card_id)


async def asked_for(work: Work, token: Token, wanted: TokenState, until: datetime) -> None:
    """Mark what is about to be ordered, so that nobody else orders before `until`."""
    await work.execute(_ASKING, token.id, token.version, wanted.value, until, work.now)


async def heard(
    work: Work, token: Token, state: TokenState | None, provider_ref: str | None
) -> bool:
    """Enter the answer to the order of this version; None is none. False when a later one was
    given meanwhile."""
    known = state.value if state else None
    tag = await work.execute(_HEARD, token.id, token.version, known, provider_ref, work.now)
    return tag == "UPDATE 1"


async def _counts(work: Work, card_ids: Sequence[CardId]) -> dict[CardId, int]:
    return {
        CardId(row["card_id"]): row["tokens"] for row in await work.rows(_COUNTS, list(card_ids))
    }


_COLUMNS: Final = """id, bank, holder_id, card_id, wallet, device_name, state, unwanted, version,
       asking, asking_until, made_at"""
_BY_ID: Final = f"""
select {_COLUMNS} from card_tokens where id = $1 for update
"""  # noqa: S608 - of constants
_OF_CARD: Final = f"""
select {_COLUMNS} from card_tokens where card_id = $1 order by id desc
"""  # noqa: S608 - constants
_LOCK: Final = f"""
select {_COLUMNS} from card_tokens where card_id = $1 and state <> 'DELETED'
 order by id for update
"""  # noqa: S608 - constants
_COUNTS: Final = """
select card_id, count(*)::int as tokens from card_tokens
 where card_id = any($1::uuid[]) and state <> 'DELETED' and not unwanted
 group by card_id
"""
_MARK: Final = "update virtual_cards set tokenised = true where id = any($1::uuid[])"
_ADD: Final = """
insert into card_tokens (bank, made_at, changed_at, state, id, holder_id, card_id, wallet,
                         device_name)
select $1, $2, $2, 'REQUESTED', * from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                                              $7::text[])
"""
_UNWANTED: Final = "update card_tokens set unwanted = true, changed_at = $2 where id = $1"
_ASKING: Final = """
update card_tokens set asking = $3, asking_until = $4, version = $2 + 1, changed_at = $5
 where id = $1
"""
_HEARD: Final = """
update card_tokens
   set state = coalesce($3, state), provider_ref = coalesce($4, provider_ref), asking = null,
       asking_until = null, changed_at = $5
 where id = $1 and version = $2
"""
