"""Controls: which purchases a card, a holder and a bank allow.

Promise: per purchase, day, month and lifetime in money and number (null none, 0 nothing); MCC,
merchant, country and channel allowed or denied; hours and weekdays in Phnom Penh. Every rule of
every party must allow (the order in which they are told: deciding). A version is drafted, tried in
shadow on live purchases and on history, and put in force; a bank's by two people.

Knows no card beyond its id. Rooms, in reading order:

    purchases.py sheets.py deciding.py   what is asked, what is allowed, whether: pure
    records.py group.py                  the act the authorisations stand on, and what it leaves
    versions.py rollout.py setting.py    a sheet's states; the bank's way and the holder's
    replay.py history.py looking.py      what a version would have changed; what is left
    proof.py                             what must be true whatever happened

Tables owned: control_sheets, control_evaluations, control_shadows.
"""

from wallet.controls.deciding import bank_subject
from wallet.controls.group import Controls, Left, open_controls
from wallet.controls.purchases import Merchant, Purchase
from wallet.controls.setting import OwnedCard, kinds
from wallet.controls.sheets import (
    NO_CONTROLS,
    Channels,
    ControlSheet,
    Countries,
    Hours,
    Mccs,
    Merchants,
    Spend,
)

__all__ = [
    "NO_CONTROLS",
    "Channels",
    "ControlSheet",
    "Controls",
    "Countries",
    "Hours",
    "Left",
    "Mccs",
    "Merchant",
    "Merchants",
    "OwnedCard",
    "Purchase",
    "Spend",
    "bank_subject",
    "kinds",
    "open_controls",
]
