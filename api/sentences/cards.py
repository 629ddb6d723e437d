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
    Reason.SMART_ID_CARDS_STOPPED: (
        "Your Smart ID and its virtual cards are frozen already; let the cards go on with a code.",
        "Smart ID និងកាតនិម្មិតរបស់អ្នកត្រូវបានបង្កករួចហើយ សូមដោះបង្កកកាតនិម្មិតដោយប្រើលេខកូដ។",
    ),
    Reason.CARD_LIMIT_REACHED: (
        "You have as many virtual cards as allowed; close one first.",
        "អ្នកមានកាតនិម្មិតគ្រប់ចំនួនកំណត់ហើយ សូមបិទកាតមួយជាមុនសិន។",
    ),
    Reason.CARD_NOT_ACTIVE: (
        "This card is not in a state that allows it.",
        "ស្ថានភាពកាតនេះមិនអនុញ្ញាតទេ។",
    ),
    Reason.CARD_FROZEN: (
        "This card is frozen; unfreeze it in the app, or ask your bank if the bank froze it.",
        "កាតនេះត្រូវបានបង្កក សូមដោះបង្កកក្នុងកម្មវិធី ឬសួរធនាគារ បើធនាគារជាអ្នកបង្កក។",
    ),
    Reason.CARD_EXPIRED: (
        "This card is past its expiry date; make a new one in the app.",
        "កាតនេះហួសថ្ងៃផុតកំណត់ហើយ សូមបង្កើតកាតថ្មីក្នុងកម្មវិធី។",
    ),
    Reason.CARD_CLOSED: (
        "This card is closed; pay with another one, or make a new one in the app.",
        "កាតនេះត្រូវបានបិទហើយ សូមប្រើកាតផ្សេង ឬបង្កើតកាតថ្មីក្នុងកម្មវិធី។",
    ),
    Reason.CARD_SPENT: (
        "This single-use card has been used; make a new one in the app for the next payment.",
        "កាតប្រើតែម្តងនេះបានប្រើរួចហើយ សូមបង្កើតកាតថ្មីក្នុងកម្មវិធីសម្រាប់ការទូទាត់បន្ទាប់។",
    ),
    Reason.CARD_REPLACED: (
        "This card was replaced; pay with the number of the new one.",
        "កាតនេះត្រូវបានជំនួសដោយកាតថ្មីហើយ សូមទូទាត់ដោយលេខកាតថ្មី។",
    ),
    Reason.CARD_UNCLAIMED: (
        "This card waits for its holder; claim it in the app first.",
        "កាតនេះមិនទាន់មានអ្នកទទួលយកទេ សូមទទួលយកក្នុងកម្មវិធីជាមុនសិន។",
    ),
    Reason.CARD_MERCHANT_LOCKED: (
        "This card pays one shop only, and this is another; use another card here.",
        "កាតនេះបង់បានតែហាងមួយប៉ុណ្ណោះ ហើយនេះជាហាងផ្សេង សូមប្រើកាតផ្សេងនៅទីនេះ។",
    ),
    Reason.CARD_RECURRING_ONLY: (
        "This card pays its subscription only; use another card for a single purchase.",
        "កាតនេះសម្រាប់តែការបង់ប្រាក់ជាប្រចាំប៉ុណ្ណោះ សូមប្រើកាតផ្សេងសម្រាប់ការទិញម្តងៗ។",
    ),
    Reason.CARD_CURRENCY_DIFFERS: (
        "This card pays in its own currency only; use a card in the shop's currency.",
        "កាតនេះបង់បានតែរូបិយប័ណ្ណរបស់វាប៉ុណ្ណោះ សូមប្រើកាតដែលមានរូបិយប័ណ្ណដូចហាង។",
    ),
    Reason.CARD_DETAILS_WRONG: (
        "The expiry date or the security code is wrong; look at the card in the app and try again.",
        "ថ្ងៃផុតកំណត់ ឬលេខកូដសុវត្ថិភាពមិនត្រឹមត្រូវទេ សូមមើលកាតក្នុងកម្មវិធី ហើយព្យាយាមម្តងទៀត។",
    ),
    Reason.CARD_DETAILS_LOCKED: (
        "Too many wrong security codes; have the card shown in the app again to go on.",
        "លេខកូដសុវត្ថិភាពខុសច្រើនដងពេក សូមបើកមើលកាតក្នុងកម្មវិធីម្តងទៀត ដើម្បីបន្ត។",
    ),
    Reason.CARD_UNKNOWN: (
        "No card of this bank has that number or id; look at it again.",
        "ធនាគារនេះមិនមានកាតដែលមានលេខនោះទេ សូមពិនិត្យម្តងទៀត។",
    ),
    Reason.PURCHASE_UNCONFIRMED: (
        "This purchase is unlike the usual ones; confirm it in the app, then pay again.",
        "ការទិញនេះខុសពីធម្មតា សូមបញ្ជាក់ក្នុងកម្មវិធី រួចទូទាត់ម្តងទៀត។",
    ),
    Reason.MESSAGE_DIFFERS: (
        "A message with this key was taken before, with other content; use a new key.",
        "សារដែលមានលេខសម្គាល់នេះបានទទួលរួចហើយ ដោយមានខ្លឹមសារផ្សេង សូមប្រើលេខសម្គាល់ថ្មី។",
    ),
    Reason.ANSWER_TOO_LATE: (
        "The time to answer this request was over; nothing is held, ask again.",
        "ពេលវេលាឆ្លើយសំណើនេះបានផុតហើយ គ្មានប្រាក់ត្រូវបានកក់ទុកទេ សូមស្នើម្តងទៀត។",
    ),
    Reason.TOKEN_LIMIT_REACHED: (
        "This card is in as many phones' wallets as allowed; take it out of one first.",
        "កាតនេះមាននៅក្នុងកាបូបទូរស័ព្ទគ្រប់ចំនួនកំណត់ហើយ សូមដកចេញពីទូរស័ព្ទមួយជាមុនសិន។",
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
