"""What an ATM may show of an answer: few texts, in Khmer and English, the same whatever was wrong.

Promise: who stands at the machine with somebody's card learns no more than that it is not possible
here; why stands in the audit. Every text fits two lines of a machine's screen.
Owns no table. Who calls: atm, presented, at_machine (choosing), the ATM door (showing).
"""

import enum
from collections.abc import Mapping
from typing import Final

from wallet.cards.wording import Sentence


class Screen(enum.StrEnum):
    """The screens there are; a bank's host may show texts of its own under these names."""

    NOT_POSSIBLE = "not_possible_contact_bank"
    OTHER_BANK = "use_your_own_banks_atm"
    PAIR_A_PHONE = "pair_a_phone_first"
    CLAIM_IN_APP = "claim_in_the_app"
    UNLOCKED = "app_unlocked"


LONGEST: Final = 80

TEXTS: Final[Mapping[Screen, Sentence]] = {
    Screen.NOT_POSSIBLE: Sentence(
        "Not possible at this machine. Please ask your bank.",
        "មិនអាចធ្វើបាននៅម៉ាស៊ីននេះទេ។ សូមសួរធនាគាររបស់អ្នក។",
    ),
    Screen.OTHER_BANK: Sentence(
        "Please use an ATM of the bank that issued your card.",
        "សូមប្រើ ATM របស់ធនាគារដែលចេញកាតរបស់អ្នក។",
    ),
    Screen.PAIR_A_PHONE: Sentence(
        "Pair your phone first: open the app, then choose “Pair a phone” here.",
        "សូមភ្ជាប់ទូរស័ព្ទជាមុនសិន៖ បើកកម្មវិធី រួចជ្រើស “ភ្ជាប់ទូរស័ព្ទ” នៅទីនេះ។",
    ),
    Screen.CLAIM_IN_APP: Sentence(
        "Your card is ready. Open the app and enter the number shown here.",
        "កាតរបស់អ្នករួចរាល់ហើយ។ សូមបើកកម្មវិធី រួចបញ្ចូលលេខលើអេក្រង់នេះ។",
    ),
    Screen.UNLOCKED: Sentence(
        "The app is unlocked. You can sign in again.",
        "បានដោះសោកម្មវិធីហើយ។ អ្នកអាចចូលប្រើម្តងទៀតបាន។",
    ),
}
