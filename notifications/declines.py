"""Why a purchase was declined, in words, and what its holder can do about it: one catalogue.

Promise: total over every reason a purchase can be declined for (a test holds it): a sentence in
English and in Khmer, and the next step as a word the app makes a button of. Who calls: catalogue
(the notice), the phones' door (the list and the one purchase).
"""

import enum
from typing import Final

from msgspec import Struct

from wallet.outcomes import Reason


class NextStep(enum.StrEnum):
    """What the app offers under the sentence."""

    UNFREEZE_CARD = "unfreeze_card"
    UNFREEZE_SMART_ID = "unfreeze_smart_id"
    RAISE_LIMIT = "raise_limit"
    CHANGE_CONTROLS = "change_controls"
    CONFIRM = "confirm"
    ADD_MONEY = "add_money"
    NEW_CARD = "new_card"
    CLAIM_CARD = "claim_card"
    SHOW_CARD = "show_card"
    OTHER_CARD = "other_card"
    TRY_AGAIN = "try_again"
    ASK_BANK = "ask_bank"
    NOTHING = "nothing"


class Explained(Struct, frozen=True):
    en: str
    km: str
    step: NextStep


_N = NextStep
DECLINES: Final[dict[Reason, Explained]] = {
    Reason.INSUFFICIENT_FUNDS: Explained(
        "There is not enough money in the wallet. Add money and pay again.",
        "ប្រាក់ក្នុងកាបូបមិនគ្រប់គ្រាន់ទេ។ សូមបញ្ចូលប្រាក់ ហើយទូទាត់ម្តងទៀត។",
        _N.ADD_MONEY,
    ),
    Reason.LIMIT_EXCEEDED: Explained(
        "It is more than a limit allows. Raise the limit in the app, or wait for the next day.",
        "ចំនួននេះលើសកម្រិតកំណត់។ សូមដំឡើងកម្រិតក្នុងកម្មវិធី ឬរង់ចាំថ្ងៃបន្ទាប់។",
        _N.RAISE_LIMIT,
    ),
    Reason.PURCHASE_UNCONFIRMED: Explained(
        "It is unlike your usual purchases. Confirm it in the app, then ask the shop to try again.",
        "ការទិញនេះខុសពីធម្មតា។ សូមបញ្ជាក់ក្នុងកម្មវិធី រួចឱ្យហាងព្យាយាមម្តងទៀត។",
        _N.CONFIRM,
    ),
    Reason.CARD_FROZEN: Explained(
        "The card is frozen. Unfreeze it in the app, or ask your bank if the bank froze it.",
        "កាតត្រូវបានបង្កក។ សូមដោះបង្កកក្នុងកម្មវិធី ឬសួរធនាគារ បើធនាគារជាអ្នកបង្កក។",
        _N.UNFREEZE_CARD,
    ),
    Reason.SMART_ID_FROZEN: Explained(
        "Payments with your Smart ID are frozen. Unfreeze them in the app first.",
        "ការទូទាត់ដោយ Smart ID ត្រូវបានបង្កក។ សូមដោះបង្កកក្នុងកម្មវិធីជាមុនសិន។",
        _N.UNFREEZE_SMART_ID,
    ),
    Reason.SMART_ID_NOT_ACTIVE: Explained(
        "Your Smart ID is not active for payments. Ask your agency or bank.",
        "Smart ID របស់អ្នកមិនសកម្មសម្រាប់ការទូទាត់ទេ។ សូមសួរស្ថាប័ន ឬធនាគាររបស់អ្នក។",
        _N.ASK_BANK,
    ),
    Reason.CARD_EXPIRED: Explained(
        "The card has expired. Make a new one in the app.",
        "កាតផុតកំណត់ហើយ។ សូមបង្កើតកាតថ្មីក្នុងកម្មវិធី។",
        _N.NEW_CARD,
    ),
    Reason.CARD_CLOSED: Explained(
        "The card is closed. Pay with another one, or make a new one in the app.",
        "កាតត្រូវបានបិទហើយ។ សូមប្រើកាតផ្សេង ឬបង្កើតកាតថ្មីក្នុងកម្មវិធី។",
        _N.NEW_CARD,
    ),
    Reason.CARD_SPENT: Explained(
        "This single-use card has been used. Make a new one in the app.",
        "កាតប្រើតែម្តងនេះបានប្រើរួចហើយ។ សូមបង្កើតកាតថ្មីក្នុងកម្មវិធី។",
        _N.NEW_CARD,
    ),
    Reason.CARD_REVERSED: Explained(
        "The ATM took this card back before it was claimed. Ask for a new one.",
        "ATM បានលុបកាតនេះមុនពេលទទួល។ សូមស្នើកាតថ្មី។",
        _N.NEW_CARD,
    ),
    Reason.CARD_REPLACED: Explained(
        "This card was replaced. Pay with the number of the new one.",
        "កាតនេះត្រូវបានជំនួសហើយ។ សូមទូទាត់ដោយលេខកាតថ្មី។",
        _N.SHOW_CARD,
    ),
    Reason.CARD_UNCLAIMED: Explained(
        "The card waits for you. Claim it in the app first.",
        "កាតកំពុងរង់ចាំអ្នក។ សូមទទួលយកក្នុងកម្មវិធីជាមុនសិន។",
        _N.CLAIM_CARD,
    ),
    Reason.CARD_MERCHANT_LOCKED: Explained(
        "This card pays one shop only. Use another card here.",
        "កាតនេះបង់បានតែហាងមួយប៉ុណ្ណោះ។ សូមប្រើកាតផ្សេងនៅទីនេះ។",
        _N.OTHER_CARD,
    ),
    Reason.CARD_RECURRING_ONLY: Explained(
        "This card pays its subscription only. Use another card.",
        "កាតនេះសម្រាប់តែការបង់ប្រាក់ជាប្រចាំប៉ុណ្ណោះ។ សូមប្រើកាតផ្សេង។",
        _N.OTHER_CARD,
    ),
    Reason.CARD_CURRENCY_DIFFERS: Explained(
        "This card pays in its own currency only. Use a card in the shop's currency.",
        "កាតនេះបង់បានតែរូបិយប័ណ្ណរបស់វា។ សូមប្រើកាតដែលមានរូបិយប័ណ្ណដូចហាង។",
        _N.OTHER_CARD,
    ),
    Reason.CARD_DETAILS_WRONG: Explained(
        "The expiry date or security code was wrong. Look at the card in the app, or freeze it.",
        "ថ្ងៃផុតកំណត់ ឬលេខកូដមិនត្រឹមត្រូវ។ សូមមើលកាតក្នុងកម្មវិធី។ បើមិនមែនអ្នក សូមបង្កកកាត។",
        _N.SHOW_CARD,
    ),
    Reason.CARD_DETAILS_LOCKED: Explained(
        "There were too many wrong codes. Show the card in the app again to go on.",
        "លេខកូដខុសច្រើនដងពេក។ សូមបើកមើលកាតក្នុងកម្មវិធីម្តងទៀត ដើម្បីបន្ត។",
        _N.SHOW_CARD,
    ),
    Reason.CHANNEL_NOT_ALLOWED: Explained(
        "The card may not be used this way. Change its controls in the app.",
        "កាតមិនអាចប្រើតាមវិធីនេះបានទេ។ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី។",
        _N.CHANGE_CONTROLS,
    ),
    Reason.COUNTRY_NOT_ALLOWED: Explained(
        "Purchases in this country are not allowed. Change the card's controls in the app.",
        "មិនអនុញ្ញាតឱ្យទិញក្នុងប្រទេសនេះទេ។ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី។",
        _N.CHANGE_CONTROLS,
    ),
    Reason.MCC_NOT_ALLOWED: Explained(
        "Purchases at this kind of shop are not allowed. Change the card's controls in the app.",
        "មិនអនុញ្ញាតឱ្យទិញនៅហាងប្រភេទនេះទេ។ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី។",
        _N.CHANGE_CONTROLS,
    ),
    Reason.MERCHANT_NOT_ALLOWED: Explained(
        "Purchases from this shop are not allowed. Change the card's controls in the app.",
        "មិនអនុញ្ញាតឱ្យទិញពីហាងនេះទេ។ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី។",
        _N.CHANGE_CONTROLS,
    ),
    Reason.OUTSIDE_TIME_WINDOW: Explained(
        "Purchases are not allowed at this hour. Change the card's hours in the app.",
        "មិនអនុញ្ញាតឱ្យទិញនៅម៉ោងនេះទេ។ សូមប្តូរម៉ោងកំណត់របស់កាតក្នុងកម្មវិធី។",
        _N.CHANGE_CONTROLS,
    ),
    Reason.EXCHANGE_UNAVAILABLE: Explained(
        "There is no exchange rate just now. Pay in the card's own currency.",
        "បច្ចុប្បន្នមិនមានអត្រាប្តូរប្រាក់ទេ។ សូមទូទាត់ជារូបិយប័ណ្ណរបស់កាត។",
        _N.OTHER_CARD,
    ),
    Reason.ACCOUNT_CLOSED: Explained(
        "The wallet behind the card is closed. Ask your bank.",
        "កាបូបប្រាក់របស់កាតត្រូវបានបិទ។ សូមសួរធនាគាររបស់អ្នក។",
        _N.ASK_BANK,
    ),
    Reason.ANSWER_TOO_LATE: Explained(
        "The answer came too late for the shop. Nothing was taken; try again.",
        "ចម្លើយទៅដល់ហាងយឺតពេល។ មិនមានការកាត់ប្រាក់ទេ សូមព្យាយាមម្តងទៀត។",
        _N.TRY_AGAIN,
    ),
    Reason.REVERSED_FIRST: Explained(
        "The shop took this purchase back. Nothing was taken.",
        "ហាងបានលុបការទិញនេះ។ មិនមានការកាត់ប្រាក់ទេ។",
        _N.NOTHING,
    ),
    Reason.HOLD_EXPIRED: Explained(
        "The time of this purchase is over. Ask the shop to begin anew.",
        "ពេលវេលានៃការទិញនេះបានផុតហើយ។ សូមឱ្យហាងចាប់ផ្តើមសារជាថ្មី។",
        _N.TRY_AGAIN,
    ),
}

OTHERWISE: Final = Explained(
    "The purchase could not be made. Try again, or ask your bank.",
    "មិនអាចធ្វើការទិញនេះបានទេ។ សូមព្យាយាមម្តងទៀត ឬសួរធនាគាររបស់អ្នក។",
    NextStep.ASK_BANK,
)


def explained(reason: str) -> Explained:
    """The words for a stored reason."""
    try:
        return DECLINES.get(Reason(reason), OTHERWISE)
    except ValueError:
        return OTHERWISE
