"""The ledger, limits, exchange, statements and salary files."""

from typing import Final

from wallet.outcomes import Reason

MONEY: Final[dict[Reason, tuple[str, str]]] = {
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
}
