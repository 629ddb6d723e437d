"""What any request may be told: bad input, repeats, load and faults."""

from typing import Final

from wallet.outcomes import Reason

FRAME: Final[dict[Reason, tuple[str, str]]] = {
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
    Reason.TOO_SLOW: (
        "The request took too long to arrive; nothing was done. Send it again.",
        "សំណើមកដល់យឺតពេក គ្មានអ្វីត្រូវបានធ្វើទេ សូមផ្ញើម្តងទៀត។",
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
    Reason.ERASED: (
        "These personal data were erased for good; support can say when and why.",
        "ទិន្នន័យផ្ទាល់ខ្លួននេះត្រូវបានលុបជាអចិន្ត្រៃយ៍ហើយ។ សូមសួរផ្នែកជំនួយអំពីកាលបរិច្ឆេទ និងមូលហេតុ។",
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
}
