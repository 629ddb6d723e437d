"""Every reason in words: one English and one Khmer sentence, each with the next step.

Promise: total over `Reason` (a test holds it); `{name}` fields are filled from the outcome's
facts where the caller gave them. Who calls: problems.
"""

from typing import Final

from wallet.outcomes import Reason

SENTENCES: Final[dict[Reason, tuple[str, str]]] = {
    Reason.INVALID_REQUEST: (
        "The request is not in the expected form; see the fields named.",
        "សំណើមិនត្រឹមត្រូវតាមទម្រង់ទេ សូមពិនិត្យចំណុចដែលបានបង្ហាញ។",
    ),
    Reason.NOT_FOUND: (
        "There is nothing here under that name.",
        "រកមិនឃើញអ្វីដែលអ្នកស្វែងរកទេ។",
    ),
    Reason.METHOD_NOT_ALLOWED: (
        "This address does not take that method.",
        "អាសយដ្ឋាននេះមិនទទួលវិធីនោះទេ។",
    ),
    Reason.TOO_LARGE: (
        "What was sent is larger than allowed here.",
        "ទិន្នន័យដែលបានផ្ញើធំហួសកំណត់។",
    ),
    Reason.CURSOR_INVALID: (
        "The cursor is not one of ours; start again from the first page.",
        "សញ្ញាទំព័រមិនត្រឹមត្រូវទេ សូមចាប់ផ្តើមពីទំព័រដំបូង។",
    ),
    Reason.AMOUNT_INVALID: (
        "The amount is not one that can be paid; give whole riel, or dollars and cents.",
        "ចំនួនទឹកប្រាក់មិនត្រឹមត្រូវទេ សូមបញ្ចូលជារៀលគត់ ឬដុល្លារនិងសេន។",
    ),
    Reason.CURRENCY_UNSUPPORTED: (
        "That currency cannot be used here.",
        "មិនអាចប្រើរូបិយប័ណ្ណនេះបានទេ។",
    ),
    Reason.IDEMPOTENCY_KEY_MISSING: (
        "Send an Idempotency-Key header, so that a repeat is not done twice.",
        "សូមផ្ញើ Idempotency-Key ដើម្បីកុំឱ្យធ្វើពីរដង។",
    ),
    Reason.IDEMPOTENCY_KEY_INVALID: (
        "An Idempotency-Key is 1 to 255 printable ASCII characters.",
        "Idempotency-Key ត្រូវមានតួអក្សរ ASCII ពី ១ ដល់ ២៥៥។",
    ),
    Reason.IDEMPOTENCY_KEY_REUSED: (
        "This Idempotency-Key was used for another request; take a new one.",
        "Idempotency-Key នេះបានប្រើសម្រាប់សំណើផ្សេងហើយ សូមប្រើថ្មី។",
    ),
    Reason.IN_FLIGHT: (
        "The same request is still being worked on; ask again in a moment.",
        "សំណើដដែលកំពុងដំណើរការ សូមរង់ចាំបន្តិចហើយសួរម្តងទៀត។",
    ),
    Reason.CONFLICT: (
        "Something else changed this at the same time; read it again and retry.",
        "មានការផ្លាស់ប្តូរក្នុងពេលតែមួយ សូមអានឡើងវិញហើយព្យាយាមម្តងទៀត។",
    ),
    Reason.ILLEGAL_TRANSITION: (
        "That step is not possible in its present state.",
        "មិនអាចធ្វើជំហាននេះក្នុងស្ថានភាពបច្ចុប្បន្នបានទេ។",
    ),
    Reason.BUSY: (
        "Too many requests are waiting; try again shortly.",
        "មានសំណើកំពុងរង់ចាំច្រើនពេក សូមព្យាយាមម្តងទៀតបន្តិចទៀត។",
    ),
    Reason.RATE_LIMITED: (
        "Too many tries; wait a little and try again.",
        "ព្យាយាមច្រើនដងពេក សូមរង់ចាំបន្តិច។",
    ),
    Reason.UNAVAILABLE: (
        "The service cannot answer just now; nothing was done. Try again.",
        "សេវាមិនអាចឆ្លើយបាននៅពេលនេះ គ្មានអ្វីត្រូវបានធ្វើទេ សូមព្យាយាមម្តងទៀត។",
    ),
    Reason.OUTCOME_UNKNOWN: (
        "We are checking whether it went through; ask again with the same request.",
        "យើងកំពុងពិនិត្យលទ្ធផល សូមសួរម្តងទៀតដោយសំណើដដែល។",
    ),
    Reason.INTERNAL: (
        "Something went wrong on our side; nothing was done. Try again or call support.",
        "មានបញ្ហាខាងយើង គ្មានអ្វីត្រូវបានធ្វើទេ សូមព្យាយាមម្តងទៀត ឬហៅផ្នែកជំនួយ។",
    ),
    Reason.UNAUTHENTICATED: (
        "Sign in first; the session is missing, ended or not for this door.",
        "សូមចូលប្រើប្រាស់ជាមុនសិន វគ្គបានផុតកំណត់ ឬមិនត្រឹមត្រូវ។",
    ),
    Reason.SIGN_IN_FAILED: (
        "Signing in did not succeed; check what you entered.",
        "ការចូលប្រើមិនបានសម្រេច សូមពិនិត្យព័ត៌មានដែលបានបញ្ចូល។",
    ),
    Reason.FORBIDDEN: (
        "Your role does not allow this.",
        "តួនាទីរបស់អ្នកមិនអនុញ្ញាតឱ្យធ្វើសកម្មភាពនេះទេ។",
    ),
    Reason.LOCKED: (
        "Locked after too many wrong tries; wait, or use your card and PIN at an ATM.",
        "ត្រូវបានចាក់សោដោយសារព្យាយាមខុសច្រើនដង សូមរង់ចាំ ឬប្រើកាតនិងលេខសម្ងាត់នៅ ATM។",
    ),
    Reason.SIGNATURE_INVALID: (
        "The signature does not fit this request.",
        "ហត្ថលេខាមិនត្រូវនឹងសំណើនេះទេ។",
    ),
    Reason.SIGNATURE_STALE: (
        "The signature's time is outside the allowed window; check the clock and sign anew.",
        "ពេលវេលាហត្ថលេខាហួសកំណត់ សូមពិនិត្យនាឡិកាហើយចុះហត្ថលេខាថ្មី។",
    ),
    Reason.SIGNATURE_REPLAYED: (
        "This signed request was seen before.",
        "សំណើដែលមានហត្ថលេខានេះបានទទួលរួចហើយ។",
    ),
    Reason.TERMINAL_UNKNOWN: (
        "This terminal is not known for your bank, or is blocked.",
        "ម៉ាស៊ីននេះមិនត្រូវបានស្គាល់ ឬត្រូវបានបិទ។",
    ),
    Reason.PIN_WEAK: (
        "Choose six digits that are harder to guess.",
        "សូមជ្រើសរើសលេខប្រាំមួយខ្ទង់ដែលពិបាកទាយជាងនេះ។",
    ),
    Reason.PAIRING_INVALID: (
        "This pairing cannot go on; start again in the app.",
        "ការភ្ជាប់ទូរស័ព្ទមិនអាចបន្តបានទេ សូមចាប់ផ្តើមថ្មីក្នុងកម្មវិធី។",
    ),
    Reason.PAIRING_EXPIRED: (
        "The pairing code has run out; ask the app for a new one.",
        "លេខកូដភ្ជាប់ផុតកំណត់ហើយ សូមយកលេខថ្មីក្នុងកម្មវិធី។",
    ),
    Reason.DEVICE_NOT_ACTIVE: (
        "This phone is not the active one; pair it at an ATM or a branch.",
        "ទូរស័ព្ទនេះមិនសកម្មទេ សូមភ្ជាប់នៅ ATM ឬសាខាធនាគារ។",
    ),
    Reason.FOUR_EYES: (
        "A second person must approve this; it cannot be the one who asked.",
        "ត្រូវមានអ្នកទីពីរអនុម័ត មិនអាចជាអ្នកស្នើសុំដដែលទេ។",
    ),
    Reason.APPROVAL_EXPIRED: (
        "The request waited too long for approval; make it again.",
        "សំណើរង់ចាំការអនុម័តយូរពេក សូមធ្វើថ្មី។",
    ),
    Reason.INTENT_KIND_UNKNOWN: (
        "There is no act of that kind.",
        "គ្មានសកម្មភាពប្រភេទនេះទេ។",
    ),
    Reason.INTENT_EXPIRED: (
        "The time to confirm has run out; start again.",
        "ពេលបញ្ជាក់បានផុតកំណត់ សូមចាប់ផ្តើមម្តងទៀត។",
    ),
    Reason.INTENT_NOT_PENDING: (
        "This was already decided; see its answer.",
        "សំណើនេះបានសម្រេចរួចហើយ សូមមើលលទ្ធផល។",
    ),
    Reason.OTP_REQUIRED: (
        "A one-time password is needed for this.",
        "ត្រូវការលេខកូដប្រើម្តង សម្រាប់សកម្មភាពនេះ។",
    ),
    Reason.OTP_WRONG: (
        "The one-time password is not right; {tries_left} tries are left.",
        "លេខកូដប្រើម្តងមិនត្រឹមត្រូវទេ នៅសល់ {tries_left} ដងទៀត។",
    ),
    Reason.OTP_LOCKED: (
        "One-time passwords are locked after too many wrong ones; wait 30 minutes.",
        "លេខកូដប្រើម្តងត្រូវបានចាក់សោ សូមរង់ចាំ ៣០ នាទី។",
    ),
    Reason.OTP_NOT_ENROLLED: (
        "Set up the authenticator first, or ask for a code by SMS.",
        "សូមរៀបចំកម្មវិធីបង្កើតលេខកូដជាមុនសិន ឬសុំលេខកូដតាមសារ។",
    ),
    Reason.OTP_UNAVAILABLE: (
        "One-time passwords cannot be checked just now; nothing was done. Try again.",
        "មិនអាចពិនិត្យលេខកូដបាននៅពេលនេះទេ គ្មានអ្វីត្រូវបានធ្វើ សូមព្យាយាមម្តងទៀត។",
    ),
    Reason.LIMIT_EXCEEDED: (
        "This is above your limit ({limit}, {most}); {left} is left of it.",
        "ចំនួននេះលើសកម្រិតកំណត់របស់អ្នក ({limit}, {most}) នៅសល់ {left}។",
    ),
    Reason.QUOTE_EXPIRED: (
        "The rate you were quoted is no longer good; ask for a new one.",
        "អត្រាប្តូរប្រាក់ដែលបានផ្តល់ផុតកំណត់ហើយ សូមស្នើសុំអត្រាថ្មី។",
    ),
    Reason.EXCHANGE_UNAVAILABLE: (
        "Your bank changes no money just now; try again later.",
        "ធនាគាររបស់អ្នកមិនទាន់ទទួលប្តូរប្រាក់នៅពេលនេះទេ សូមព្យាយាមម្តងទៀតនៅពេលក្រោយ។",
    ),
    Reason.INSUFFICIENT_FUNDS: (
        "There is not enough money in the wallet for this.",
        "ទឹកប្រាក់ក្នុងកាបូបមិនគ្រប់គ្រាន់ទេ។",
    ),
    Reason.ACCOUNT_CLOSED: (
        "That account is closed.",
        "គណនីនោះត្រូវបានបិទ។",
    ),
    Reason.ACCOUNT_NOT_FOUND: (
        "That account does not exist.",
        "គ្មានគណនីនោះទេ។",
    ),
    Reason.ACCOUNTS_SAME: (
        "Both sides are the same account; choose another receiver.",
        "គណនីអ្នកផ្ញើនិងអ្នកទទួលជាគណនីតែមួយ សូមជ្រើសរើសអ្នកទទួលផ្សេង។",
    ),
    Reason.AMOUNT_ZERO: (
        "The amount is zero; enter how much is to be paid.",
        "ចំនួនទឹកប្រាក់ស្មើសូន្យ សូមបញ្ចូលចំនួនដែលត្រូវបង់។",
    ),
    Reason.AMOUNT_NEGATIVE: (
        "The amount is below zero; enter how much is to be paid.",
        "ចំនួនទឹកប្រាក់តិចជាងសូន្យ សូមបញ្ចូលចំនួនដែលត្រូវបង់។",
    ),
    Reason.AMOUNT_TOO_LARGE: (
        "The amount is larger than these books can hold; enter a smaller one.",
        "ចំនួនទឹកប្រាក់ធំពេក មិនអាចកត់ត្រាបានទេ សូមបញ្ចូលចំនួនតូចជាងនេះ។",
    ),
    Reason.BALANCE_TOO_LARGE: (
        "The account would hold more than these books can count; enter a smaller amount.",
        "សមតុល្យគណនីនឹងធំហួសពីចំនួនដែលអាចកត់ត្រាបាន សូមបញ្ចូលចំនួនតូចជាងនេះ។",
    ),
    Reason.NOTHING_TO_MOVE: (
        "There is nothing there that could be moved.",
        "មិនមានទឹកប្រាក់ដែលអាចផ្ទេរបានទេ។",
    ),
    Reason.TRANSFER_DIFFERS: (
        "That id was used for another transfer.",
        "លេខសម្គាល់នោះបានប្រើសម្រាប់ការផ្ទេរផ្សេងហើយ។",
    ),
    Reason.LINKED_FAILED: (
        "Another part of the same act did not go through, so nothing of it was done.",
        "ផ្នែកមួយទៀតនៃសកម្មភាពនេះមិនបានសម្រេច ដូច្នេះគ្មានអ្វីត្រូវបានធ្វើទេ។",
    ),
    Reason.LINKED_CHAIN_OPEN: (
        "The last part says that another follows, and none does; send it whole.",
        "ផ្នែកចុងក្រោយបញ្ជាក់ថានៅមានផ្នែកបន្ត តែគ្មានទេ សូមផ្ញើឱ្យពេញលេញ។",
    ),
    Reason.LINK_TO_ITSELF: (
        "It refers to itself; name the transfer it is about.",
        "សំណើនេះយោងមកខ្លួនឯង សូមបញ្ជាក់ការផ្ទេរដែលពាក់ព័ន្ធ។",
    ),
    Reason.STATEMENT_MONTH_INVALID: (
        "There is no statement for that month; choose one from {first} to {last}.",
        "គ្មានរបាយការណ៍គណនីសម្រាប់ខែនោះទេ សូមជ្រើសរើសខែពី {first} ដល់ {last}។",
    ),
    Reason.STATEMENT_TOO_LONG: (
        "That month has more than {most} entries; take the CSV file, or ask your bank.",
        "ខែនោះមានប្រតិបត្តិការលើសពី {most} សូមយកឯកសារ CSV ឬទាក់ទងធនាគាររបស់អ្នក។",
    ),
    Reason.BUSINESS_DAY_NOT_OVER: (
        "That business day is not over yet; it can be closed after {ends}.",
        "ថ្ងៃធ្វើការនោះមិនទាន់ចប់ទេ អាចបិទបានក្រោយ {ends}។",
    ),
    Reason.BUSINESS_DAY_NOT_CLOSED: (
        "That business day is not closed; its balance is not final yet.",
        "ថ្ងៃធ្វើការនោះមិនទាន់បិទទេ តារាងតុល្យភាពមិនទាន់ស្ថាពរនៅឡើយ។",
    ),
    Reason.HOLD_NOT_FOUND: (
        "There is no such reservation.",
        "គ្មានការកក់ទឹកប្រាក់នេះទេ។",
    ),
    Reason.NOT_A_HOLD: (
        "That transfer is not a reservation, so there is nothing to take or release.",
        "ការផ្ទេរនោះមិនមែនជាការកក់ទឹកប្រាក់ទេ ដូច្នេះគ្មានអ្វីត្រូវដក ឬដោះលែងឡើយ។",
    ),
    Reason.HOLD_ALREADY_CAPTURED: (
        "The reservation was already taken.",
        "ការកក់ទឹកប្រាក់ត្រូវបានដករួចហើយ។",
    ),
    Reason.HOLD_ALREADY_VOIDED: (
        "The reservation was already released.",
        "ការកក់ទឹកប្រាក់ត្រូវបានដោះលែងរួចហើយ។",
    ),
    Reason.HOLD_EXPIRED: (
        "The reservation has run out.",
        "ការកក់ទឹកប្រាក់ផុតកំណត់ហើយ។",
    ),
    Reason.HOLD_NOT_YET_EXPIRED: (
        "The reservation has not run out yet.",
        "ការកក់ទឹកប្រាក់មិនទាន់ផុតកំណត់ទេ។",
    ),
    Reason.EXCEEDS_HOLD: (
        "That is more than was reserved.",
        "ចំនួននេះលើសពីទឹកប្រាក់ដែលបានកក់។",
    ),
    Reason.ORIGINAL_NOT_FOUND: (
        "The transfer to be given back is not in the books.",
        "រកមិនឃើញការផ្ទេរដើមដែលត្រូវប្រគល់វិញទេ។",
    ),
    Reason.NOT_REVERSIBLE: (
        "That entry cannot be given back; only money that was paid can be.",
        "ប្រតិបត្តិការនោះមិនអាចប្រគល់វិញបានទេ មានតែទឹកប្រាក់ដែលបានបង់រួចប៉ុណ្ណោះដែលអាចប្រគល់វិញបាន។",
    ),
    Reason.EXCEEDS_ORIGINAL: (
        "That is more than is left of the original payment.",
        "ចំនួននេះលើសពីចំនួនដែលនៅសល់នៃការបង់ប្រាក់ដើម។",
    ),
    Reason.ALREADY_REVERSED: (
        "The payment was already given back.",
        "ការបង់ប្រាក់នោះត្រូវបានប្រគល់វិញរួចហើយ។",
    ),
    Reason.REVERSED_FIRST: (
        "This payment was taken back before it arrived, so it is not made.",
        "ការបង់ប្រាក់នេះត្រូវបានលុបចោលមុនពេលមកដល់ ដូច្នេះមិនត្រូវបានធ្វើទេ។",
    ),
    Reason.NOT_YET_SEALED: (
        "The receipt for this entry is not ready yet; ask again in a moment.",
        "បង្កាន់ដៃនៃប្រតិបត្តិការនេះមិនទាន់រួចរាល់ទេ សូមរង់ចាំបន្តិចហើយសួរម្តងទៀត។",
    ),
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
    Reason.REVEAL_SPENT: (
        "These details were shown once already; ask to see them again.",
        "ព័ត៌មាននេះបានបង្ហាញរួចហើយ សូមស្នើមើលម្តងទៀត។",
    ),
    Reason.QR_INVALID: (
        "This is not a KHQR code that can be paid; ask the shop for a new one.",
        "កូដ KHQR នេះមិនអាចទូទាត់បានទេ សូមសុំកូដថ្មីពីហាង។",
    ),
    Reason.QR_FOREIGN: (
        "This is a foreign code, which is not supported.",
        "នេះជាកូដបរទេស ដែលមិនទាន់អាចប្រើបានទេ។",
    ),
    Reason.QR_EXPIRED: (
        "This code has run out; ask the shop for a new one.",
        "កូដនេះផុតកំណត់ហើយ សូមសុំកូដថ្មីពីហាង។",
    ),
    Reason.QR_ALREADY_PAID: (
        "This code has already been paid.",
        "កូដនេះបានទូទាត់រួចហើយ។",
    ),
    Reason.QR_OWN_CODE: (
        "This is your own code.",
        "នេះជាកូដផ្ទាល់របស់អ្នក។",
    ),
    Reason.QR_AMOUNT_MISSING: (
        "The code names no amount; enter how much to pay.",
        "កូដនេះមិនមានចំនួនទឹកប្រាក់ទេ សូមបញ្ចូលចំនួនត្រូវបង់។",
    ),
    Reason.QR_AMOUNT_DIFFERS: (
        "The amount is not the one in the code.",
        "ចំនួនទឹកប្រាក់មិនត្រូវនឹងកូដទេ។",
    ),
    Reason.WALLET_CURRENCY_MISSING: (
        "You have no wallet in {currency}.",
        "អ្នកគ្មានកាបូបជា {currency} ទេ។",
    ),
    Reason.PHONE_INVALID: (
        "That is not a Cambodian mobile number.",
        "នេះមិនមែនជាលេខទូរស័ព្ទដៃនៅកម្ពុជាទេ។",
    ),
    Reason.OPERATOR_UNKNOWN: (
        "The number's operator is not known; choose it.",
        "មិនស្គាល់ក្រុមហ៊ុនទូរស័ព្ទនៃលេខនេះទេ សូមជ្រើសរើស។",
    ),
    Reason.PRODUCT_UNKNOWN: (
        "The operator does not sell that.",
        "ក្រុមហ៊ុនមិនមានលក់ផលិតផលនេះទេ។",
    ),
    Reason.AMOUNT_OUT_OF_RANGE: (
        "The amount is outside what the operator takes.",
        "ចំនួនទឹកប្រាក់នៅក្រៅកម្រិតដែលក្រុមហ៊ុនទទួល។",
    ),
    Reason.REPEAT_TOPUP: (
        "The same number was topped up a moment ago; confirm to do it again.",
        "លេខនេះទើបតែបញ្ចូលទឹកប្រាក់ សូមបញ្ជាក់ប្រសិនបើចង់ធ្វើម្តងទៀត។",
    ),
    Reason.SALARY_FILE_INVALID: (
        "The salary file has errors that concern the whole file; nothing is paid from it.",
        "ឯកសារប្រាក់បៀវត្សមានកំហុសទាំងមូល គ្មានការបើកប្រាក់ទេ។",
    ),
    Reason.SALARY_FILE_REPEATED: (
        "This very file was received before.",
        "ឯកសារនេះបានទទួលរួចហើយ។",
    ),
    Reason.SALARY_PERIOD_REPEATED: (
        "This agency's salary for that period and half was received before.",
        "ប្រាក់បៀវត្សរបស់ស្ថាប័ននេះសម្រាប់រយៈពេលនោះបានទទួលរួចហើយ។",
    ),
    Reason.SALARY_FILE_CHANGED: (
        "What you approve is not the file that was checked.",
        "ឯកសារដែលអ្នកអនុម័តមិនមែនជាឯកសារដែលបានពិនិត្យទេ។",
    ),
    Reason.DISPUTE_EXISTS: (
        "There is already a case for this transaction.",
        "មានសំណុំរឿងសម្រាប់ប្រតិបត្តិការនេះរួចហើយ។",
    ),
    Reason.DISPUTE_TOO_LATE: (
        "The time to dispute this transaction is over; call support.",
        "ហួសពេលតវ៉ាប្រតិបត្តិការនេះហើយ សូមហៅផ្នែកជំនួយ។",
    ),
    Reason.DISPUTE_CLOSED: (
        "The case is closed.",
        "សំណុំរឿងត្រូវបានបិទ។",
    ),
    Reason.REFUND_EXCEEDS: (
        "That is more than is left to give back.",
        "ចំនួននេះលើសពីទឹកប្រាក់ដែលអាចសងវិញ។",
    ),
}
