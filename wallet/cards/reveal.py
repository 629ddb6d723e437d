"""card.reveal: number, expiry and the current check value, for the holder's phone alone.

Promise: the three leave this process only as one JWE to the public key of the phone that signed
(ECDH-ES, A256GCM), once per signed intent with a one-time password; they are never stored, and
every reveal stands in the card's history, the audit and the holder's own feed. Bounded per hour,
counted in the card's history under the card's lock.

Owns no table. Who calls: intents (through `kind`); authorisations (`number_of`, by index).
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wallet.access.for_phone import sealed_for
from wallet.access.intents import Asked, Consumed, IntentKind, Prepared
from wallet.cards import changing, numbers, rows, wording
from wallet.cards.changing import Change
from wallet.cards.control import WhichCard
from wallet.cards.create import actor_of
from wallet.cards.rules import Issuing
from wallet.cards.states import Card, CardState
from wallet.events import CardRevealed
from wallet.identifiers import CardId, Secret
from wallet.outcomes import Declined, Done, GroupAnswer, Reason, Refused
from wallet.vault import Unsealer
from wallet.work import Work

ACT: Final = "card.reveal"


class _Plan(Struct, frozen=True, kw_only=True):
    card_id: CardId


def kind(issuing: Issuing) -> IntentKind:
    return IntentKind(
        name=ACT,
        fields=WhichCard,
        prepare=partial(_prepare, issuing),
        authorise=partial(_authorise, issuing),
    )


async def _prepare(
    issuing: Issuing, work: Work, asked: Sequence[Asked]
) -> Sequence[Prepared | Refused]:
    """Refuses: NOT_FOUND, CARD_NOT_ACTIVE, SMART_ID_FROZEN, RATE_LIMITED."""
    ids = [one.fields.card_id for one in asked]
    cards = await rows.by_ids(work, ids)
    times = await _times(work, ids)
    answers: list[Prepared | Refused] = []
    for one in asked:
        card = cards.get(one.fields.card_id)
        if card is None or card.holder_id != one.holder_id:
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        reason = decide_reveal(issuing, work, card, times.get(card.id, 0))
        if reason is not None:
            answers.append(Refused(reason))
            continue
        sentence = wording.reveal(card)
        plan: dict[str, Any] = msgspec.to_builtins(_Plan(card_id=card.id))
        answers.append(
            Prepared(
                text_en=sentence.en,
                text_km=sentence.km,
                plan=plan,
                facts={"last_four": card.last_four, "shown_for_s": issuing.rules.shown_for_s},
            )
        )
    return answers


async def _authorise(
    issuing: Issuing, work: Work, consumed: Sequence[Consumed]
) -> Sequence[GroupAnswer]:
    """Encrypt to each signing phone's key.

    Declines: CARD_NOT_ACTIVE, SMART_ID_FROZEN, RATE_LIMITED.
    """
    ids = [msgspec.convert(one.plan, _Plan).card_id for one in consumed]
    cards = await rows.locked(work, ids)
    times = await _times(work, ids)
    sealed = {CardId(row["id"]): row["number_sealed"] for row in await work.rows(_SEALED, ids)}
    unsealer = await issuing.vault.unsealer(work, sealed.values())
    answers: list[GroupAnswer] = []
    steps: list[Change] = []
    for one, card_id in zip(consumed, ids, strict=True):
        card = cards.get(card_id)
        if card is None or card.holder_id != one.holder_id:
            answers.append(Refused(Reason.NOT_FOUND))
            continue
        reason = decide_reveal(issuing, work, card, times.get(card.id, 0))
        if reason is not None:
            answers.append(Declined(reason=reason))
            continue
        times[card.id] = times.get(card.id, 0) + 1
        number = _number(unsealer, card.id, sealed[card.id])
        token = _encrypted(issuing, work, one, card, number)
        # The holder has the digits before them: whoever guessed starts from nothing again.
        cards[card.id] = after = replace(card, cvv_failures=0)
        steps.append(
            Change(act=ACT, cause="revealed", before=card, after=after, actor=actor_of(one))
        )
        _announce(work, card)
        answers.append(
            Done(
                answer={"card": card.view(work.now), "shown_for_s": issuing.rules.shown_for_s},
                secret={"jwe": token},
            )
        )
    changing.change(work, steps)
    return answers


_SEALED: Final = "select id, number_sealed from virtual_cards where id = any($1::uuid[])"


async def _times(work: Work, ids: Sequence[CardId]) -> dict[CardId, int]:
    return await changing.changes_since(work, ids, ACT, work.now - timedelta(hours=1))


def _announce(work: Work, card: Card) -> None:
    work.emit(
        CardRevealed(holder_id=card.holder_id, card_id=str(card.id), last_four=card.last_four)
    )


def _number(unsealer: Unsealer, card_id: CardId, sealed: bytes) -> Secret[str]:
    plain = unsealer.unseal(sealed, "virtual_cards", "number_sealed", card_id)
    return Secret(plain.reveal().decode())


def _encrypted(issuing: Issuing, work: Work, one: Consumed, card: Card, number: Secret[str]) -> str:
    rules = issuing.rules
    check_value = numbers.cvv(issuing, card.bank, number, card.expires_on, work.now)
    content = {
        "card_id": str(card.id),
        "intent_id": str(one.intent_id),
        "number": number.reveal(),
        "expires": numbers.printed_expiry(card.expires_on),
        "cvv": check_value.reveal(),
        "cvv_changes_at": numbers.cvv_changes_at(work.now, rules.cvv_step).isoformat(),
        "shown_for_s": rules.shown_for_s,
    }
    return sealed_for(one.device_key, content)


def decide_reveal(issuing: Issuing, work: Work, card: Card, times: int) -> Reason | None:
    """Why this card is not shown now; None when it is."""
    standing = card.standing(work.now)
    if standing is CardState.FROZEN and not card.frozen_by:
        return Reason.SMART_ID_FROZEN
    if standing is not CardState.ACTIVE:
        return Reason.CARD_NOT_ACTIVE
    return Reason.RATE_LIMITED if times >= issuing.rules.reveals_per_hour else None
