"""The story of one salary day, step by step, through the doors alone.

Promise: every step prints what happened with its amounts, and checks it; a step told again after
a kill finds what it did and does not do it twice. Raises StoryError naming what was not as it
should be. Who calls: main.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from runtime.demo import people
from runtime.demo.memory import Memory
from runtime.demo.people import TRIES, Holder, Listener, StoryError, patiently
from runtime.demo.shopping import Shop, buy_online
from simulators.atm import AtmHost
from simulators.officer import Officer, OfficerError
from simulators.phone import PhoneError
from wallet import khqr
from wallet.clock import PHNOM_PENH
from wallet.money import Currency, Money

Say = Callable[[str], None]
SALARY_PATIENCE_S: Final = 150.0
TOPUP_PATIENCE_S: Final = 150.0
NOTICE_PATIENCE_S: Final = 60.0
COFFEE: Final = 18_500
GIVEN_BACK: Final = 8_500
"""Riel of the coffee; of the cooker, all."""

COOKER: Final = 520_000
"""Above what a signature alone may pay, and above what one person may give back."""

CODE_LIVES_MS: Final = 600_000
SILENT: Final = "82"
"""The last digits the operator simulator answers nothing to, though it delivers."""


@dataclass(frozen=True)
class Cast:
    """Who plays."""

    holder: Holder
    maker: Officer
    checker: Officer
    agent: Officer
    supervisor: Officer
    host: AtmHost
    shop: Shop
    memory: Memory
    agency: str
    salary_file: bytes
    claim_ttl_s: int


async def tell(cast: Cast, say: Say) -> None:
    """The whole day. Raises: StoryError, PhoneError, OfficerError."""
    steps = (
        ("The agency sees how far its cards are", _funnel),
        ("A phone becomes the holder's, at an ATM", _enrol),
        ("Salary day", _salary),
        ("A virtual card from the app", _card_in_app),
        ("The card buys something online", _buy_online),
        ("The Smart ID is frozen, and comes back", _freeze_smart_id),
        ("A virtual card at an ATM", _card_at_atm),
        ("A phone is topped up", _top_up),
        ("A shop is paid by KHQR", _pay_qr),
        ("Something is disputed, and put right", _dispute),
        ("The card nobody claimed", _unclaimed),
    )
    listener: Listener | None = None
    try:
        for number, (title, step) in enumerate(steps, 1):
            say(f"\n{number}. {title}")
            if step is _salary:
                listener = Listener(cast.holder)
                await _salary(cast, say, listener)
            else:
                await step(cast, say)  # type: ignore[operator]
    finally:
        if listener is not None:
            await listener.close()


async def _funnel(cast: Cast, say: Say) -> None:
    await people.sign_in(cast.maker)
    funnel = await patiently(lambda: cast.maker.call("GET", "/funnel"))
    say(f"   {cast.agency}: {funnel['applicants']} applied; {_counts(funnel)}")


def _counts(funnel: dict[str, Any]) -> str:
    return ", ".join(
        f"{count} {state.lower().replace('_', ' ')}"
        for state, count in funnel["by_state"].items()
        if count
    )


async def _enrol(cast: Cast, say: Say) -> None:
    person = cast.holder.person
    say(f"   {person.name_latin} ({person.name_khmer}), Smart ID of {person.bank}")
    await cast.holder.enrol(cast.host, lambda line: say(f"   {line}"))
    say("   signed in with the phone's key and PIN")


async def _salary(cast: Cast, say: Say, listener: Listener) -> None:
    period, half = cast.memory.period
    say(f"   {len(cast.salary_file):,} bytes for {period}, half {half}, sent by the maker")
    began = time.monotonic()
    fresh = cast.memory.recall("salary") is None
    received = await _upload(cast)
    run_id = received["run_id"]
    checked = await _salary_until(cast.maker, run_id, {"CHECKED", "APPROVED", "PAYING", "PAID"})
    say(
        f"   checked: {checked['lines']} lines, {_riel(checked['sum_minor'])}; "
        f"{checked['accepted_lines']} accepted, {checked['held_lines']} held, "
        f"{checked['rejected_lines']} rejected"
    )
    again = await _repeated_upload(cast)
    say(f"   the same file once more: {again}")
    if checked["state"] == "CHECKED":
        await _approve(cast, run_id, checked["sha256"])
    say("   approved by a second officer with a fresh code")
    paid = await _salary_until(cast.maker, run_id, {"PAID"})
    say(
        f"   paid: {paid['paid_lines']} lines, {_riel(paid['paid_minor'])}, "
        f"{time.monotonic() - began:.1f} s after sending"
    )
    _same(paid["paid_minor"], checked["accepted_minor"], "what was paid and what was accepted")
    notice = await listener.hear("salary.paid", within_s=20.0 if fresh else 0.0)
    if notice is None:
        notice = await _from_inbox(cast, "salary.paid")
    say(f"   the phone hears: {notice['title']}. {notice['text']}")


async def _upload(cast: Cast) -> dict[str, Any]:
    kept: dict[str, Any] | None = cast.memory.recall("salary")
    if kept is not None:
        return kept
    received: dict[str, Any] = await patiently(
        lambda: cast.maker.call(
            "POST", "/salary-files", content=cast.salary_file, key=cast.memory.key("salary")
        )
    )
    cast.memory.remember("salary", received)
    return received


async def _repeated_upload(cast: Cast) -> str:
    """The same bytes under another key: another request, the same file."""
    try:
        await patiently(
            lambda: cast.maker.call(
                "POST",
                "/salary-files",
                content=cast.salary_file,
                key=cast.memory.key("salary-again"),
            )
        )
    except OfficerError as no:
        if no.code == "salary_file_repeated":
            return "refused, it was received before"
        raise
    raise StoryError("the same salary file was taken twice")


async def _approve(cast: Cast, run_id: str, sha256: str) -> None:
    await people.sign_in(cast.checker)
    path = f"/salary-files/{run_id}/approve"
    await people.approve(cast.checker, path, {"sha256": sha256}, cast.memory.key("approve"))


async def _salary_until(officer: Officer, run_id: str, states: set[str]) -> dict[str, Any]:
    ends = time.monotonic() + SALARY_PATIENCE_S
    while time.monotonic() < ends:
        run: dict[str, Any] = await patiently(
            lambda: officer.call("GET", f"/salary-files/{run_id}")
        )
        if run["state"] in states:
            return run
        if run["state"] == "REFUSED":
            raise StoryError(f"the salary file was refused: {run['faults']}")
        await asyncio.sleep(0.1)
    raise StoryError(f"the salary run stays {run['state']}")


async def _card_in_app(cast: Cast, say: Say) -> None:
    holder = cast.holder
    card = (await holder.do("card", "card.create", currency="USD", label="Online"))["card"]
    say(f'   the phone shows: "{await holder.text_of("card")}", signs, and gives a code')
    say(f"   card •••• {card['last_four']} until {card['expires_on']}, {card['state']}")
    shown = await holder.do("reveal", "card.reveal", card_id=card["id"])
    if "jwe" in shown:
        details = holder.phone.key.decrypt(shown["jwe"])
        say(f"   its details came sealed for this phone alone: {len(details)} fields, shown once")
    await holder.post("freeze-card", f"/cards/{card['id']}/freeze", {})
    thawed = await holder.do("unfreeze-card", "card.unfreeze", card_id=card["id"])
    say(f"   frozen at once; unfrozen by signature and code: {thawed['card']['state']}")


async def _buy_online(cast: Cast, say: Say) -> None:
    await buy_online(cast.holder, cast.shop, cast.memory, say)


async def _freeze_smart_id(cast: Cast, say: Say) -> None:
    holder = cast.holder
    frozen = await holder.post("freeze-id", "/smart-id/freeze", {})
    states = await _card_states(holder)
    say(
        f"   payment {frozen['smart_id']['payment_state']}, identity "
        f"{frozen['smart_id']['identity_state']}; its cards: {states}"
    )
    await holder.do("unfreeze-id", "smart_id.unfreeze")
    say(f"   unfrozen by signature and code; its cards: {await _card_states(holder)}")


async def _card_states(holder: Holder) -> str:
    page = await holder.read("/cards")
    return ", ".join(f"•••• {card['last_four']} {card['state']}" for card in page["items"])


async def _card_at_atm(cast: Cast, say: Say) -> None:
    claimed = await _claim(cast, say, tries_left=3)
    say(f"   claimed in the app: {claimed['card']['state']}")
    second = await _ask_atm(cast, "atm-reversed")
    undone = await _reverse(cast, "atm-reversed")
    say(f"   a second one, •••• {second['last_four']}, its printer failed: {undone['result']}")
    await cast.holder.do("close", "card.close", card_id=claimed["card"]["id"])
    say("   the claimed card is closed again")
    third = await _ask_atm(cast, "atm-unclaimed")
    say(
        f"   a third, •••• {third['last_four']}, which nobody claims "
        f"({cast.claim_ttl_s} s here; ten minutes by default)"
    )


async def _claim(cast: Cast, say: Say, tries_left: int) -> dict[str, Any]:
    """Ask for a card at the ATM and claim it; one that lapsed meanwhile is asked for again."""
    step = f"atm-card:{tries_left}"
    slip = await _ask_atm(cast, step)
    claim = slip["claim"]
    say(
        f"   {cast.host.terminal} gets: •••• {slip['last_four']}, reference "
        f"{claim['reference']}, a QR code and two digits, nothing else"
    )
    repeated = await _ask_atm(cast, step)
    _same(repeated["card_id"], slip["card_id"], "the repeated request's card")
    say("   asked again after a lost answer: the same card")
    known = {name: claim[name] for name in ("reference", "number_match")}
    try:
        return await cast.holder.do(f"claim:{tries_left}", "card.claim", **known)
    except PhoneError as no:
        if no.code != "card_claim_expired" or tries_left == 1:
            raise
    say("   it was not claimed in time; another is asked for")
    return await _claim(cast, say, tries_left - 1)


def _atm_reference(cast: Cast, step: str) -> dict[str, str]:
    """Terminal reference of a step: kept before it is used, so that a retry is a repeat."""
    kept: dict[str, str] | None = cast.memory.recall(f"reference:{step}")
    if kept is None:
        number = cast.memory.terminal_count
        kept = {
            "rrn": f"{number:012d}",
            "stan": f"{number % 1_000_000:06d}",
            "local_date": datetime.now(UTC).astimezone(PHNOM_PENH).date().isoformat(),
        }
        cast.memory.remember(f"reference:{step}", kept)
    return kept


async def _ask_atm(cast: Cast, step: str) -> dict[str, Any]:
    body = {
        "smart_id_number": cast.holder.smart_id_number,
        "pin_verified": True,
        "currency": "KHR",
        **_atm_reference(cast, step),
    }
    answer = await patiently(
        lambda: cast.host.post("/v1/atm/cards", body, key=cast.memory.key(step))
    )
    if answer.status != 201:
        raise StoryError(f"the ATM was told {answer.status} {answer.code}")
    slip: dict[str, Any] = answer.body
    return slip


async def _reverse(cast: Cast, step: str) -> dict[str, Any]:
    body = {"cause": "printer_failed", **_atm_reference(cast, step)}
    answer = await patiently(
        lambda: cast.host.post("/v1/atm/cards/reverse", body, key=cast.memory.key(f"undo:{step}"))
    )
    if answer.status != 200:
        raise StoryError(f"the reversal was told {answer.status} {answer.code}")
    undone: dict[str, Any] = answer.body
    return undone


async def _top_up(cast: Cast, say: Say) -> None:
    await _buy(cast, say, "topup", "010 555 501", "an operator that answers")
    await _buy(cast, say, "topup-silent", f"010 555 5{SILENT}", "an operator that falls silent")


async def _buy(cast: Cast, say: Say, step: str, phone: str, about: str) -> None:
    """Until it is delivered: where the operator never heard of it, the money is back and it is
    bought again."""
    for tries_left in reversed(range(TRIES)):
        ended = await _buy_once(cast, say, f"{step}:{tries_left}", phone, about)
        if ended != "FAILED" or not tries_left:
            break
        say("   the operator never heard of it: the money is back, and it is bought again")
    _same(ended, "SUCCEEDED", "how the top-up ended")


async def _buy_once(cast: Cast, say: Say, step: str, phone: str, about: str) -> str:
    holder = cast.holder
    await holder.do(
        step, "topup.buy", phone=phone, amount="5000", currency="KHR", confirm_repeat=True
    )
    say(f'   {about}: "{await holder.text_of(step)}"')
    shown: dict[str, Any] = cast.memory.recall(f"shown:{step}")
    seen: list[str] = []
    ends = time.monotonic() + TOPUP_PATIENCE_S
    while time.monotonic() < ends:
        top_up = await holder.read(f"/topups/{shown['id']}")
        if top_up["state"] not in seen:
            seen.append(top_up["state"])
        if top_up["state"] in ("SUCCEEDED", "FAILED", "REVERSED", "RECOVERY"):
            break
        await asyncio.sleep(0.1)
    say(f"   {' -> '.join(seen)}")
    return seen[-1]


async def _pay_qr(cast: Cast, say: Say) -> None:
    await _pay_shop(cast, say, "coffee", "Sophea Coffee", COFFEE)
    await _pay_shop(cast, say, "cooker", "Chamkar Mon Home", COOKER)
    code = cast.memory.recall("code:coffee")
    try:
        await cast.holder.prepare("qr.pay", code=code)
    except PhoneError as no:
        if no.code not in ("qr_already_paid", "qr_expired"):
            raise
        say(f"   the first code once more: {no.code}")
        return
    raise StoryError("one dynamic code could be paid twice")


async def _pay_shop(cast: Cast, say: Say, step: str, shop: str, riel: int) -> None:
    holder = cast.holder
    paid = cast.memory.recall(f"answer:{step}") is not None
    code = cast.memory.recall(f"code:{step}")
    if code is None or not (paid or cast.memory.recall(f"shown:{step}")):
        code = cast.memory.remember(f"code:{step}", _shop_code(shop, riel))
    before = await _balance(holder)
    if not paid:
        decoded = await holder.post(f"decode:{step}", "/qr/decode", {"code": code})
        say(
            f"   scanned: {decoded['payee_name']}, {decoded['payee_city']} (as written in the code)"
        )
    await holder.do(step, "qr.pay", code=code)
    after = await _balance(holder)
    say(f'   "{await holder.text_of(step)}": {_riel(before)} -> {_riel(after)}')


def _shop_code(shop: str, riel: int) -> str:
    now_ms = int(time.time() * 1000)
    written = khqr.write(
        khqr.Draft(
            form=khqr.Form.INDIVIDUAL,
            account=f"{shop.split()[0].lower()}@aclb",
            name=shop,
            city="Phnom Penh",
            amount=str(riel),
            bill=f"B{now_ms}",
            expires_ms=now_ms + CODE_LIVES_MS,
        ),
        now_ms,
    )
    if isinstance(written, khqr.SdkError):
        raise StoryError(f"the shop's code cannot be written: {written.name}")
    return written


async def _dispute(cast: Cast, say: Say) -> None:
    await people.sign_in(cast.agent)
    coffee = await _open_case(cast, say, "coffee", "I paid in cash as well.")
    small = await _refund(cast, coffee, "refund-coffee", GIVEN_BACK)
    say(f"   {_riel(GIVEN_BACK)} given back by one person: {small['state']}")
    closed = await patiently(
        lambda: cast.agent.call(
            "POST",
            f"/disputes/{coffee}/close",
            {"why": "Half of it was the holder's own coffee."},
            key=cast.memory.key("close-coffee"),
        )
    )
    say(f"   closed: {closed['disposition']}")
    cooker = await _open_case(cast, say, "cooker", "The shop sent it back to the maker.")
    large = await _refund(cast, cooker, "refund-cooker", COOKER)
    say(f"   {_riel(COOKER)} needs a second person: {large['state']}")
    approved = await _approve_refund(cast, large["refund_id"])
    before = await _balance(cast.holder)
    say(f"   a supervisor approves with a fresh code: {approved}; {_riel(before)} in the wallet")


async def _open_case(cast: Cast, say: Say, step: str, statement: str) -> str:
    shown: dict[str, Any] = cast.memory.recall(f"shown:{step}")
    case = await cast.holder.post(
        f"dispute:{step}",
        "/disputes",
        {
            "transaction_id": shown["id"],
            "reason": "PAID_BY_OTHER_MEANS",
            "statement": statement,
        },
    )
    case_id = str(case["dispute_id"])
    seen = await patiently(lambda: cast.agent.call("GET", f"/disputes/{case_id}"))
    say(
        f"   case {case['case_number']}, an answer by {case['answer_by']}; support reads "
        f"{len(seen['timeline'])} moments of what happened"
    )
    return case_id


async def _approve_refund(cast: Cast, refund_id: str) -> str:
    await people.sign_in(cast.supervisor)
    path, key = f"/refunds/{refund_id}/approve", cast.memory.key("approve-refund")
    answer = await people.approve(cast.supervisor, path, {}, key)
    return "PAID" if answer is None else str(answer["state"])


async def _refund(cast: Cast, case_id: str, step: str, riel: int) -> dict[str, Any]:
    answer: dict[str, Any] = await patiently(
        lambda: cast.agent.call(
            "POST",
            f"/disputes/{case_id}/refunds",
            {
                "amount": {"amount_minor": riel, "currency": "KHR"},
                "source": "COUNTERPARTY",
                "why": "Goodwill: the shop's terminal printed twice.",
            },
            key=cast.memory.key(step),
        )
    )
    return answer


async def _unclaimed(cast: Cast, say: Say) -> None:
    slip = await _ask_atm(cast, "atm-unclaimed")
    ends = time.monotonic() + cast.claim_ttl_s + 30
    while time.monotonic() < ends:
        card = await cast.holder.read(f"/cards/{slip['card_id']}")
        if card["state"] == "EXPIRED":
            say(f"   •••• {card['last_four']}: EXPIRED, it never could pay")
            online = cast.memory.recall("answer:card")["card"]
            closed = await cast.holder.do("close-online", "card.close", card_id=online["id"])
            say(f"   and the online card is closed for good: {closed['card']['state']}")
            return
        await asyncio.sleep(0.5)
    raise StoryError(f"the unclaimed card stays {card['state']}")


async def _balance(holder: Holder) -> int:
    accounts = await holder.read("/accounts")
    for account in accounts:
        if account["available"]["currency"] == "KHR":
            return int(account["available"]["amount_minor"])
    raise StoryError("the holder has no riel wallet")


async def _from_inbox(cast: Cast, kind: str) -> dict[str, Any]:
    """Waited for too: told again after a kill, the story may be there before the worker is."""
    ends = time.monotonic() + NOTICE_PATIENCE_S
    while time.monotonic() < ends:
        page = await cast.holder.read("/inbox")
        for notice in page["items"]:
            if notice["kind"] == kind:
                found: dict[str, Any] = notice
                return found
        await asyncio.sleep(0.2)
    raise StoryError(f"no notice of {kind} came")


def _riel(minor: int) -> str:
    return Money(minor, Currency.KHR).display()


def _same(seen: object, wanted: object, what: str) -> None:
    if seen != wanted:
        raise StoryError(f"{what}: {seen!r}, not {wanted!r}")
