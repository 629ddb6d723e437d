"""What a sheet would have decided on purchases that have been: the naive, whole computation. Pure.

Promise: each purchase in the order it was decided in, its money and number counted from nothing but
the purchases before it, in plain dictionaries. Counted is what was counted then and the sheet lets
pass, and what the same party's sheet declined then and this one lets pass; forced posts always.
What was given back is given back to the windows it was counted in, if it was counted here.

It is asked for reports over history, and stands beside the counters as their model in tests.
Who calls: history.
"""

from collections import defaultdict
from datetime import date
from typing import Final
from uuid import UUID

from wallet.clock import day_of
from wallet.controls.deciding import Compiled, decide_lists
from wallet.controls.purchases import Purchase
from wallet.controls.records import Evaluation, Step
from wallet.limits import SetRule, Window
from wallet.money import Currency
from wallet.outcomes import Reason

Key = tuple[UUID, Window, Currency, date]


class Verdict:
    """What the sheet says of one purchase."""

    __slots__ = ("evaluation", "reason", "rule")

    def __init__(self, evaluation: Evaluation, reason: Reason | None, rule: str | None) -> None:
        self.evaluation = evaluation
        self.reason = reason
        self.rule = rule


class Replay:
    """One sheet over a stream of evaluations, in order."""

    def __init__(self, sheet: Compiled) -> None:
        self._sheet = sheet
        self._minor: dict[Key, int] = defaultdict(int)
        self._uses: dict[Key, int] = defaultdict(int)
        self._counted: set[UUID] = set()

    def step(self, evaluation: Evaluation) -> Verdict | None:
        """Take the next evaluation in; what the sheet says of it, if it was a purchase to decide
        on that reached this party's rules."""
        purchase = evaluation.purchase
        if evaluation.step is Step.GIVEN_BACK:
            if purchase.id in self._counted:
                self._add(evaluation, -1)
            return None
        if evaluation.step is Step.FORCED:
            self._count(evaluation)
            return None
        ours = evaluation.set_by == self._sheet.by.value
        if not evaluation.counted and not ours:
            return None  # declined by another's rules, or the books: it would be declined yet
        verdict = self._verdict(evaluation)
        if verdict.reason is None:
            self._count(evaluation)
        return verdict

    def _verdict(self, evaluation: Evaluation) -> Verdict:
        purchase = evaluation.purchase
        declined = decide_lists([self._sheet], purchase)
        if declined is not None:
            return Verdict(evaluation, declined.reason, str(declined.facts["rule"]))
        for made in self._sheet.amounts(purchase):
            broken = self._broken(made, purchase)
            if broken is not None:
                return Verdict(evaluation, Reason.LIMIT_EXCEEDED, broken)
        return Verdict(evaluation, None, None)

    def _broken(self, made: SetRule, purchase: Purchase) -> str | None:
        rule, minor, uses = made.rule, 0, 0
        if rule.window is not Window.PAYMENT:
            key = _key(made.subject, rule.window, purchase)
            minor, uses = self._minor[key], self._uses[key]
        if rule.most_minor is not None and minor + purchase.amount.minor > rule.most_minor:
            return rule.window.value
        if rule.most_count is not None and uses + purchase.another > rule.most_count:
            return f"{rule.window}_count"
        return None

    def _count(self, evaluation: Evaluation) -> None:
        self._counted.add(evaluation.purchase.id)
        self._add(evaluation, 1)

    def _add(self, evaluation: Evaluation, sign: int) -> None:
        purchase = evaluation.purchase
        for subject in (purchase.card_id, purchase.holder_id):
            for window in _COUNTING:
                key = _key(subject, window, purchase)
                self._minor[key] += sign * evaluation.amount.minor
                self._uses[key] += sign * evaluation.another


_COUNTING: Final = (Window.DAY, Window.MONTH, Window.LIFETIME)


def _key(subject: UUID, window: Window, purchase: Purchase) -> Key:
    start = window.start(day_of(purchase.moment))
    return subject, window, purchase.amount.currency, start
