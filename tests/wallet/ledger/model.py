"""The ledger as a page of dictionaries: what the book must answer and leave, whatever is asked.

Written for reading, not for speed, and from the documentation alone: every request is a tuple
(verb, id, ...), every answer a word or two as in the text tables. Accounts 0 to 2 have a floor,
3 and 4 are the house's, 4 is suspense.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

Request = tuple[Any, ...]
START = {0: 40, 1: 25, 2: 0, 3: 0, 4: 0}
SUSPENSE = 4


@dataclass
class Hold:
    debit: int
    credit: int
    amount: int
    ends: int | None
    ended: str | None = None
    closing: bool = False


@dataclass
class Model:
    """What each account has, what is held of it, what it is promised, and every transfer's fate."""

    posted: dict[int, int] = field(default_factory=lambda: dict(START))
    held: dict[int, int] = field(default_factory=lambda: dict.fromkeys(START, 0))
    promised: dict[int, int] = field(default_factory=lambda: dict.fromkeys(START, 0))
    closed: set[int] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)
    paid: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    done: dict[str, tuple[Request, str]] = field(default_factory=dict)
    clock: int = 0

    # groups

    def decide(self, steps: list[tuple[Request, bool]]) -> list[str]:
        answers: list[str] = []
        chain: list[Request] = []
        for request, linked in steps:
            chain.append(request)
            if not linked:
                answers += self._chain(chain) if len(chain) > 1 else [self.ask(chain[0])]
                chain = []
        if chain:
            answers += ["linked_failed"] * (len(chain) - 1) + ["linked_chain_open"]
        return answers

    def _chain(self, chain: list[Request]) -> list[str]:
        before = copy.deepcopy(vars(self))
        answers: list[str] = []
        for request in chain:
            answers.append(self.ask(request))
            if not answers[-1].startswith(("posted", "again")):
                vars(self).update(before)
                failed = ["linked_failed"] * len(chain)
                failed[len(answers) - 1] = answers[-1]
                return failed
        again = [answer.startswith("again") for answer in answers]
        if any(again) and not all(again):
            vars(self).update(before)
            return ["transfer_differs" if one else "linked_failed" for one in again]
        return answers

    def ask(self, request: Request) -> str:
        verb, name = request[0], request[1]
        if verb == "forestall":
            return self.forestall(*request[1:])
        if verb == "reverse":
            if request[2] in self.gone:
                mine = self.gone[request[2]] == name
                return f"again {self.done[request[2]][0][5]}" if mine else "already_reversed"
            if request[2] not in self.done:
                return "transfer_differs" if name in self.done else "original_not_found"
        strange = verb in ("capture", "void", "expire") and request[2] not in self.done
        if strange and name in self.done:
            return "transfer_differs"
        if name in self.gone:
            return "reversed_first"
        if name in self.done:
            before, answer = self.done[name]
            return answer.replace("posted", "again") if before == request else "transfer_differs"
        answer = getattr(self, verb)(*request[1:])
        if answer.startswith("posted"):
            self.done[name] = (request, answer)
        return str(answer)

    # one request

    def post(self, name: str, debit: int, credit: int, amount: int) -> str:
        wrong = _form(debit, credit, amount) or self._shut(debit, credit)
        if wrong or not self._covers(debit, amount):
            return wrong or "insufficient_funds"
        return self._pay(name, debit, credit, amount)

    def hold(self, name: str, debit: int, credit: int, amount: int, seconds: int) -> str:
        wrong = _form(debit, credit, amount) or self._shut(debit, credit)
        if wrong or not self._covers(debit, amount):
            return wrong or "insufficient_funds"
        self.held[debit] += amount
        self.promised[credit] += amount
        self.holds[name] = Hold(debit, credit, amount, self.clock + seconds)
        return f"posted {amount}"

    def most(self, name: str, debit: int, credit: int, amount: int, side: str) -> str:
        wrong = _form(debit, credit, amount) or self._shut(debit, credit)
        if wrong:
            return wrong
        if side in ("debit", "both"):
            amount = min(amount, self.posted[debit] - self.held[debit])
        if side in ("credit", "both"):
            amount = min(amount, -self.posted[credit] - self.promised[credit])
        if amount <= 0:
            return "nothing_to_move"
        if not self._covers(debit, amount):
            return "insufficient_funds"
        return self._pay(name, debit, credit, amount)

    def capture(self, name: str, hold_name: str, amount: int) -> str:
        wrong = _amount(amount) or self._no_hold(hold_name)
        if wrong:
            return wrong
        hold = self.holds[hold_name]
        if hold.closing:
            return "account_closed"
        if amount > hold.amount:
            return "exceeds_hold"
        return self._over(hold) or self._captured(name, hold, amount)

    def void(self, name: str, hold_name: str) -> str:
        wrong = self._no_hold(hold_name)
        if wrong:
            return wrong
        hold = self.holds[hold_name]
        return self._over(hold) or self._end(hold, "hold_already_voided")

    def expire(self, name: str, hold_name: str) -> str:
        wrong = self._no_hold(hold_name)
        if wrong:
            return wrong
        hold = self.holds[hold_name]
        if hold.ended:
            return hold.ended
        if not self._over(hold):
            return "hold_not_yet_expired"
        return self._end(hold, "hold_expired")

    def close(self, name: str, account: int, against: int) -> str:
        if account == against:
            return "accounts_same"
        if self.closed & {account, against}:
            return "account_closed"
        self.closed.add(account)
        self.holds[name] = Hold(account, against, 0, None, closing=True)
        return "posted 0"

    def force(self, name: str, debit: int, credit: int, amount: int) -> str:
        wrong = _form(debit, credit, amount)
        if wrong:
            return wrong
        return self._forced(name, debit, credit, amount)

    def clear(self, name: str, hold_name: str, amount: int) -> str:
        wrong = _amount(amount) or self._no_hold(hold_name)
        if wrong:
            return wrong
        hold = self.holds[hold_name]
        if hold.closing:
            return "not_a_hold"
        if self._over(hold):
            before = copy.deepcopy(vars(self))
            if not hold.ended:
                self._end(hold, "hold_expired")
            late = self._forced(name, hold.debit, hold.credit, amount)
            if not late.startswith("posted"):
                vars(self).update(before)
            return late
        if amount <= hold.amount:
            return self._captured(name, hold, amount)
        if SUSPENSE in (hold.debit, hold.credit):
            return "accounts_same"
        excess = amount - hold.amount
        if hold.credit in self.closed and (wrong := self._unpaid(hold.debit, excess)):
            return wrong
        self._captured(name, hold, hold.amount)
        pays = 0 if hold.credit in self.closed else self._can_pay(hold.debit, excess)
        self._move(hold.debit, hold.credit, pays)
        return self._short(hold.amount + pays, excess - pays, hold.debit, hold.credit)

    def reverse(self, name: str, original: str, amount: int, forced: bool) -> str:
        wrong = _amount(amount)
        if wrong:
            return wrong
        if original not in self.paid or self.done[original][0][0] == "reverse":
            return "not_reversible"
        receiver, payer, paid = self.paid[original]
        left = paid - self.given_back.get(original, 0)
        if amount > left:
            return "exceeds_original" if left else "already_reversed"
        if forced:
            answer = self._forced(name, payer, receiver, amount)
        elif self._shut(payer, receiver):
            answer = "account_closed"
        elif not self._covers(payer, amount):
            answer = "insufficient_funds"
        else:
            answer = self._pay(name, payer, receiver, amount)
        if answer.startswith("posted"):
            self.given_back[original] = paid - left + amount
        return answer

    def forestall(self, name: str, debit: int, credit: int, by: str, amount: int) -> str:
        if name in self.gone:
            return f"again {self.done[name][0][5]}" if self.gone[name] == by else "already_reversed"
        if name in self.done:
            return "transfer_differs"
        wrong = _form(debit, credit, amount)
        if wrong:
            return wrong
        self.gone[name] = by
        self.done[name] = (("forestall", name, debit, credit, by, amount), f"posted {amount}")
        return f"posted {amount}"

    # what they are made of

    def _covers(self, account: int, amount: int) -> bool:
        return account > 2 or self.posted[account] - self.held[account] >= amount

    def _shut(self, debit: int, credit: int) -> str | None:
        return "account_closed" if self.closed & {debit, credit} else None

    def _no_hold(self, name: str) -> str | None:
        if name in self.holds:
            return None
        return "not_a_hold" if name in self.done else "hold_not_found"

    def _over(self, hold: Hold) -> str | None:
        if hold.ended:
            return hold.ended
        return "hold_expired" if hold.ends is not None and self.clock >= hold.ends else None

    def _move(self, debit: int, credit: int, amount: int) -> None:
        self.posted[debit] -= amount
        self.posted[credit] += amount

    def _pay(self, name: str, debit: int, credit: int, amount: int) -> str:
        self._move(debit, credit, amount)
        self.paid[name] = (debit, credit, amount)
        return f"posted {amount}"

    def _end(self, hold: Hold, how: str) -> str:
        self.held[hold.debit] -= hold.amount
        self.promised[hold.credit] -= hold.amount
        hold.ended = how
        if hold.closing:
            self.closed.discard(hold.debit)
        return f"posted {hold.amount}"

    def _captured(self, name: str, hold: Hold, amount: int) -> str:
        self._end(hold, "hold_already_captured")
        return self._pay(name, hold.debit, hold.credit, amount)

    def _can_pay(self, debit: int, amount: int) -> int:
        if debit in self.closed:
            return 0
        return amount if debit > 2 else min(amount, self.posted[debit] - self.held[debit])

    def _unpaid(self, debit: int, amount: int) -> str | None:
        """Why a closed receiver's money cannot even go to suspense."""
        if debit in self.closed:
            return "account_closed"
        return None if self._covers(debit, amount) else "insufficient_funds"

    def _forced(self, name: str, debit: int, credit: int, amount: int) -> str:
        if SUSPENSE in (debit, credit):
            return "accounts_same"
        if credit in self.closed and (wrong := self._unpaid(debit, amount)):
            return wrong
        pays = 0 if credit in self.closed else self._can_pay(debit, amount)
        self._pay(name, debit, credit, pays)
        return self._short(pays, amount - pays, debit, credit)

    def _short(self, paid: int, short: int, debit: int, credit: int) -> str:
        if credit in self.closed:
            self._move(debit, SUSPENSE, short)
        else:
            self._move(SUSPENSE, credit, short)
        return f"posted {paid}" + (f" short {short}" if short else "")


def _amount(amount: int) -> str | None:
    if amount == 0:
        return "amount_zero"
    return "amount_negative" if amount < 0 else None


def _form(debit: int, credit: int, amount: int) -> str | None:
    return _amount(amount) or ("accounts_same" if debit == credit else None)
