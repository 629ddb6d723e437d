"""Time-based codes (RFC 6238: SHA-1, 6 digits, 30 s), without the edges of the arithmetic.

pyotp takes full-width digits for ASCII ones, takes the same code twice and raises on a mismatch.
Here: ASCII digits only, the matching step or None. That a step is used once only is the caller's
row in PostgreSQL (`last_step < $step` in the UPDATE). Who calls: staff, otp.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import pyotp
from pyotp.exceptions import OTPVerificationError

STEP_S: Final = 30
_SIX_DIGITS: Final = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """A fresh 160-bit secret in Base32."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, *, account: str, issuer: str) -> str:
    """The `otpauth://` text an authenticator app scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def code_at(secret: str, moment: datetime) -> str:
    """The code an authenticator shows at `moment`."""
    return pyotp.TOTP(secret).at(moment)


def matching_step(
    secret: str, code: str, now: datetime, *, offsets: Iterable[int] = (0, -1)
) -> int | None:
    """The time step `code` belongs to, among now's step and `offsets` around it; None if none.

    The default is the present and the previous step (what staff get; holders get one each side).
    """
    if not _SIX_DIGITS.fullmatch(code):
        return None
    totp = pyotp.TOTP(secret)
    for offset in offsets:
        try:
            return totp.verify_and_get_timecode(
                code, for_time=int(now.timestamp()) + offset * STEP_S, valid_window=0
            )
        except OTPVerificationError:
            continue
    return None
