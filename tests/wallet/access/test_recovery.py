"""Recovery codes: each stands in for a lost authenticator once, and only to replace it."""

from datetime import timedelta
from typing import Any

from tests.phones import Pocket, wrong
from tests.wallet.access.test_a_codes import CODED, pocket, told
from wallet.access import authenticator
from wallet.clock import TurnedClock
from wallet.outcomes import Done

__all__ = ["pocket"]


async def test_a_recovery_code_replaces_a_lost_authenticator_once_and_opens_nothing_else(
    pocket: Pocket, clock: TurnedClock
) -> None:
    enrol = authenticator.enrol_kind(pocket.vault)
    confirm = authenticator.confirm_kind(pocket.vault)
    nothing = authenticator.Nothing()
    codes = await set_up(pocket, enrol, confirm)
    assert len(set(codes)) == 10
    assert all(len(code) == 10 and code.isascii() and code.isdigit() for code in codes)

    pay = await pocket.prepare(CODED)
    assert told(await pocket.authorise(CODED, pay, code=codes[0])) == "otp_wrong", "no money by it"
    shown = await pocket.prepare(enrol, nothing)
    assert shown["needs"]["otp_methods"] == ["totp", "sms", "recovery"]
    assert told(await pocket.authorise(enrol, shown, code=codes[0])) == "accepted"
    again = await pocket.prepare(enrol, nothing)
    assert told(await pocket.authorise(enrol, again, code=codes[0])) == "otp_wrong", "used"
    assert told(await pocket.authorise(enrol, again, code=wrong(codes[1]))) == "otp_wrong"

    # a new authenticator comes with new codes; the old ones are worth nothing
    clock.advance(timedelta(seconds=31))
    fresh = await set_up(pocket, enrol, confirm, code=codes[1])
    assert not set(fresh) & set(codes)
    last = await pocket.prepare(enrol, nothing)
    assert told(await pocket.authorise(enrol, last, code=codes[2])) == "otp_wrong"
    assert told(await pocket.authorise(enrol, last, code=fresh[2])) == "accepted"


async def set_up(pocket: Pocket, enrol: Any, confirm: Any, code: str | None = None) -> list[str]:
    nothing = authenticator.Nothing()
    made = await pocket.authorise(enrol, await pocket.prepare(enrol, nothing), code=code)
    assert isinstance(made, Done)
    assert made.secret is not None
    secret = made.secret["otpauth_uri"].split("secret=")[1].split("&")[0]
    shown = await pocket.prepare(confirm, nothing)
    done = await pocket.authorise(confirm, shown, code=pocket.totp(secret))
    assert isinstance(done, Done)
    assert done.secret is not None
    codes: list[str] = done.secret["recovery_codes"]
    return codes
