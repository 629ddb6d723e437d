"""Limits: how much, and how often, a holder or a card may spend.

Promise: exact under concurrency, counted in Phnom Penh calendar days and months when an act is
held or posted, given back when a hold is voided or expires. Null is no limit; 0 allows nothing.

    (nothing) --act held or posted--> counted in the windows of that moment
    counted   --hold voided, expired-> given back to the windows in which it was counted
    declined, or the same act again--> counts nothing

Rooms: rules (what is allowed, pure), sheets (which rules hold when), counting (the group act),
tiers (whose rules), expiring (the janitor of holds), proof.
Tables owned: limit_counters, limit_tiers. Who calls: every room whose acts count.
"""

from wallet.limits.counting import Limits, Want, forget, open_limits
from wallet.limits.rules import (
    DEFAULT,
    Channel,
    LimitSheet,
    OwnLimits,
    Per,
    Rule,
    SetRule,
    Tier,
    Window,
    begins,
    card_rule,
)
from wallet.limits.tiers import set_tier, tiers_of

__all__ = [
    "DEFAULT",
    "Channel",
    "LimitSheet",
    "Limits",
    "OwnLimits",
    "Per",
    "Rule",
    "SetRule",
    "Tier",
    "Want",
    "Window",
    "begins",
    "card_rule",
    "forget",
    "open_limits",
    "set_tier",
    "tiers_of",
]
