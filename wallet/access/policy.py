"""The policy table: what an act needs besides the phone's signature, read from configuration.

Promise: one table in a file (`step_up.toml` here, or the operator's own), strict: a field, an act
or an amount it does not understand stops the start. An act the table does not name always needs a
code.

Who calls: runtime (reading the operator's file), the mobile door's table of kinds, intents (for
kinds that were handed over without a policy).
"""

from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wallet.access.kinds import IntentKind, OtpPolicy
from wallet.money import Currency

SHIPPED_FILE: Final = Path(__file__).with_name("step_up.toml")
MOST: Final = 10**15

Amounts = dict[Currency, int]


class PolicyError(Exception):
    """The table cannot be used; the text says where and why."""


class StepUp(Struct, frozen=True, kw_only=True):
    """One whole table, by act."""

    cooling_off: Amounts
    acts: dict[str, OtpPolicy]

    def of(self, name: str) -> OtpPolicy:
        """What this act needs; a code for one that is not in the table."""
        named = self.acts.get(name, OtpPolicy.ALWAYS)
        return replace(named, cooling_limit_minor=self.cooling_off)

    def applied(self, kind: IntentKind) -> IntentKind:
        """The kind with what this table says of it."""
        return replace(kind, otp=self.of(kind.name))


class _Act(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: bool = False
    above: Amounts = {}
    new_payee_above: Amounts = {}
    cumulative: Amounts = {}
    while_cooling: bool = True


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cooling_off: Amounts
    acts: dict[str, _Act]


def read(text: str) -> StepUp:
    """The table in a TOML text. Raises PolicyError."""
    try:
        file = msgspec.toml.decode(text, type=_File, strict=True)
    except (msgspec.MsgspecError, ValueError) as wrong:
        raise PolicyError(str(wrong)) from None
    for name, act in file.acts.items():
        for amounts in (act.above, act.new_payee_above, act.cumulative):
            _refuse_unfit(f"acts.{name}", amounts)
        if act.code and (act.above or act.new_payee_above or act.cumulative):
            raise PolicyError(f"acts.{name}: `code = true` leaves no amount to ask from")
    _refuse_unfit("cooling_off", file.cooling_off)
    if file.cooling_off.keys() != set(Currency):
        raise PolicyError("cooling_off: every currency needs its limit")
    return StepUp(
        cooling_off=file.cooling_off,
        acts={name: _policy(act) for name, act in file.acts.items()},
    )


@cache
def shipped() -> StepUp:
    """The table that comes with the program."""
    return read(SHIPPED_FILE.read_text("utf-8"))


def _policy(act: _Act) -> OtpPolicy:
    return OtpPolicy(
        always=act.code,
        above_minor=act.above,
        new_payee_above_minor=act.new_payee_above,
        cumulative_minor=act.cumulative,
        while_cooling=act.while_cooling,
    )


def _refuse_unfit(where: str, amounts: Amounts) -> None:
    # half a limit would be none at all for the other currency
    if amounts and amounts.keys() != set(Currency):
        raise PolicyError(f"{where}: an amount is needed for every currency, or for none")
    for currency, minor in amounts.items():
        if not 0 <= minor <= MOST:
            raise PolicyError(f"{where}: {currency.value} must be from 0 to {MOST}, not {minor}")


def of_kind(kind: IntentKind) -> OtpPolicy:
    """What a kind asks for: its own policy when it was given one, else the shipped table's."""
    return kind.otp or shipped().of(kind.name)
