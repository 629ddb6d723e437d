"""The Smart ID, virtual cards and the ATM."""

from typing import Final

from wallet.outcomes import Reason

CARDS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.SMART_ID_NOT_ACTIVE: (
        "The Smart ID is not active for payments; ask your agency or bank.",
        "កាត Smart ID មិនទាន់សកម្មសម្រាប់ការទូទាត់ សូមសួរស្ថាប័ន ឬធនាគាររបស់អ្នក។",
    ),
    Reason.SMART_ID_FROZEN: (
        "Payments with the Smart ID are frozen; unfreeze it in the app first.",
        "ការទូទាត់ដោយ Smart ID ត្រូវបានបង្កក សូមដោះបង្កកក្នុងកម្មវិធីជាមុនសិន។",
    ),
    Reason.CARD_LIMIT_REACHED: (
        "You have as many virtual cards as allowed; close one first.",
        "អ្នកមានកាតនិម្មិតគ្រប់ចំនួនកំណត់ហើយ សូមបិទកាតមួយជាមុនសិន។",
    ),
    Reason.CARD_NOT_ACTIVE: (
        "This card is not in a state that allows it.",
        "ស្ថានភាពកាតនេះមិនអនុញ្ញាតទេ។",
    ),
    Reason.CARD_CLAIM_EXPIRED: (
        "The card asked for at the ATM was not claimed in time; ask for it again.",
        "កាតដែលស្នើនៅ ATM មិនបានទទួលទាន់ពេលទេ សូមស្នើម្តងទៀត។",
    ),
    Reason.CARD_CLAIM_MISMATCH: (
        "The reference or the number from the ATM's screen does not fit.",
        "លេខយោង ឬលេខលើអេក្រង់ ATM មិនត្រឹមត្រូវទេ។",
    ),
    Reason.CARD_REVERSED: (
        "The ATM took this card back before it was claimed.",
        "ATM បានលុបកាតនេះមុនពេលទទួល។",
    ),
    Reason.PHONE_NOT_PAIRED: (
        "No phone is paired with this Smart ID; pair one first, here at the ATM.",
        "មិនទាន់មានទូរស័ព្ទភ្ជាប់នឹង Smart ID នេះទេ សូមភ្ជាប់នៅ ATM នេះជាមុនសិន។",
    ),
    Reason.ATM_DECLINED: (
        "The request cannot be done at this ATM; see the app or your bank.",
        "មិនអាចធ្វើសំណើនេះនៅ ATM នេះបានទេ សូមមើលក្នុងកម្មវិធី ឬសួរធនាគារ។",
    ),
    Reason.CHANNEL_NOT_ALLOWED: (
        "This card may not be used this way ({channel}); change its controls in the app, or, where "
        "your bank set the rule, ask your bank.",
        "កាតនេះមិនអាចប្រើតាមវិធីនេះ ({channel}) បានទេ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី "
        "ឬសួរធនាគារ ប្រសិនបើធនាគារជាអ្នកកំណត់។",
    ),
    Reason.COUNTRY_NOT_ALLOWED: (
        "Purchases in this country ({country}) are not allowed; change the card's controls in the "
        "app, or, where your bank set the rule, ask your bank.",
        "មិនអនុញ្ញាតឱ្យទិញទំនិញក្នុងប្រទេសនេះ ({country}) ទេ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី "
        "ឬសួរធនាគារ ប្រសិនបើធនាគារជាអ្នកកំណត់។",
    ),
    Reason.MCC_NOT_ALLOWED: (
        "Purchases at this kind of shop ({mcc}) are not allowed; change the card's controls in the "
        "app, or, where your bank set the rule, ask your bank.",
        "មិនអនុញ្ញាតឱ្យទិញនៅហាងប្រភេទនេះ ({mcc}) ទេ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី "
        "ឬសួរធនាគារ ប្រសិនបើធនាគារជាអ្នកកំណត់។",
    ),
    Reason.MERCHANT_NOT_ALLOWED: (
        "Purchases from {merchant_name} are not allowed; change the card's controls in the app, "
        "or, where your bank set the rule, ask your bank.",
        "មិនអនុញ្ញាតឱ្យទិញពី {merchant_name} ទេ សូមប្តូរការកំណត់កាតក្នុងកម្មវិធី ឬសួរធនាគារ ប្រសិនបើធនាគារជាអ្នកកំណត់។",
    ),
    Reason.OUTSIDE_TIME_WINDOW: (
        "Purchases are not allowed at this hour; they are again from {opens_at} (Phnom Penh time), "
        "or change the card's hours in the app.",
        "មិនអនុញ្ញាតឱ្យទិញនៅម៉ោងនេះទេ អាចទិញបានវិញចាប់ពី {opens_at} (ម៉ោងនៅភ្នំពេញ) ឬសូមប្តូរម៉ោងកំណត់របស់កាតក្នុងកម្មវិធី។",
    ),
    Reason.REVEAL_SPENT: (
        "These details were shown once already; ask to see them again.",
        "ព័ត៌មាននេះបានបង្ហាញរួចហើយ សូមស្នើមើលម្តងទៀត។",
    ),
}
