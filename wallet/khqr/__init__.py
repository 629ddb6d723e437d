"""KHQR: the text inside a Cambodian payment QR code, read strictly and written exactly.

Promise: pure and total. `read` turns any text into a `Khqr` or one `Fault`, never an exception, and
always ends; `encode` is its inverse (struct -> text -> struct is the identity); `write` follows the
rules of the National Bank's own SDK and names its error codes. Reading is stricter than that SDK,
which accepts amounts like `abc` and never returns on a short inner length.

Two traps, both of which Khmer text springs: lengths count characters, the checksum runs over UTF-8
bytes. Names and cities are whatever the maker of the code wrote: show them through `shown`.
Who calls: wallet.qr, the simulators.
"""

from wallet.khqr.code import Form, Initiation, Khqr, amount_text, encode, md5
from wallet.khqr.reading import Fault, read
from wallet.khqr.showing import mixes_alphabets, shown, skeleton
from wallet.khqr.writing import Draft, SdkError, write

__all__ = [
    "Draft",
    "Fault",
    "Form",
    "Initiation",
    "Khqr",
    "SdkError",
    "amount_text",
    "encode",
    "md5",
    "mixes_alphabets",
    "read",
    "shown",
    "skeleton",
    "write",
]
