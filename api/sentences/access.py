"""Who may ask: sign-in, signatures, pairing, approvals, intents and one-time passwords."""

from typing import Final

from wallet.outcomes import Reason

ACCESS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.UNAUTHENTICATED: (
        "Sign in first; the session is missing, ended or not for this door.",
        "សូមចូលប្រើប្រាស់ជាមុនសិន វគ្គបានផុតកំណត់ ឬមិនត្រឹមត្រូវ។",
    ),
    Reason.SIGN_IN_FAILED: (
        "Signing in did not succeed; check what you entered.",
        "ការចូលប្រើមិនបានសម្រេច សូមពិនិត្យព័ត៌មានដែលបានបញ្ចូល។",
    ),
    Reason.SIGN_IN_AGAIN: (
        "You may read on; sign in again to change anything.",
        "អ្នកនៅអាចមើលបាន សូមចូលប្រើម្តងទៀតដើម្បីធ្វើប្រតិបត្តិការ។",
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
    Reason.CERTIFICATE_UNKNOWN: (
        "The client certificate is not one listed for this key; list it or present the right one.",
        "វិញ្ញាបនបត្រនេះមិនត្រូវនឹងសោដែលបានប្រើទេ សូមបង្ហាញវិញ្ញាបនបត្រដែលបានចុះឈ្មោះ។",
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
    Reason.PASSPHRASE_WEAK: (
        "Choose a passphrase of 15 to 128 characters that nobody would try first.",
        "សូមជ្រើសរើសឃ្លាសម្ងាត់ពី ១៥ ទៅ ១២៨ តួអក្សរ ដែលពិបាកទាយ។",
    ),
    Reason.PASSKEY_REQUIRED: (
        "Your role asks for a passkey; show yours to go on, or register one first.",
        "តួនាទីរបស់អ្នកត្រូវការ passkey សូមបញ្ជាក់ដោយ passkey របស់អ្នក ឬចុះឈ្មោះវាជាមុនសិន។",
    ),
    Reason.PASSKEY_INVALID: (
        "The passkey was not accepted; ask for a new challenge and try again.",
        "passkey មិនត្រូវបានទទួលយកទេ សូមស្នើសុំសារថ្មី ហើយព្យាយាមម្តងទៀត។",
    ),
    Reason.STEP_UP_REQUIRED: (
        "Confirm that it is you first ({by}); the last proof is older than five minutes.",
        "សូមបញ្ជាក់អត្តសញ្ញាណម្តងទៀតជាមុនសិន ({by}) ព្រោះការបញ្ជាក់ចុងក្រោយលើសពីប្រាំនាទីហើយ។",
    ),
    Reason.CROSS_SITE: (
        "This request did not come from our own page; reload the page and try again.",
        "សំណើនេះមិនបានមកពីទំព័ររបស់យើងទេ សូមបើកទំព័រឡើងវិញ ហើយព្យាយាមម្តងទៀត។",
    ),
    Reason.CASE_REQUIRED: (
        "Name an open case of this person, or open emergency access with a reason.",
        "សូមបញ្ជាក់លេខសំណុំរឿងដែលកំពុងបើករបស់បុគ្គលនេះ ឬបើកសិទ្ធិបន្ទាន់ដោយមានមូលហេតុ។",
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
}
