"""Everything a salary file or one of its lines can be answered with: stable code, Khmer, English.

Promise: each code has both sentences, and each sentence says what to do next. Codes are shown to
officers and stored on lines; they are never renamed. Who calls: file, people, check, the
agency door.
"""

import enum
from typing import Final

from msgspec import Struct

from wallet.outcomes import Facts


class LineCode(enum.StrEnum):
    """What was found on one line. The first group rejects it, the second holds, the third flags."""

    # rejected by reading alone
    COLUMNS_WRONG = "columns_wrong"
    FORMULA_CELL = "formula_cell"
    TOTAL_ROW_AS_PERSON = "total_row_as_person"
    STAFF_NO_SHORT = "staff_no_short"
    STAFF_NO_SCIENTIFIC = "staff_no_scientific"
    STAFF_NO_MALFORMED = "staff_no_malformed"
    ACCOUNT_SHORT = "account_short"
    ACCOUNT_SCIENTIFIC = "account_scientific"
    ACCOUNT_MALFORMED = "account_malformed"
    AMOUNT_ZERO = "amount_zero"
    AMOUNT_NEGATIVE = "amount_negative"
    AMOUNT_FRACTIONAL = "amount_fractional"
    AMOUNT_GROUPED = "amount_grouped"
    AMOUNT_MALFORMED = "amount_malformed"
    AMOUNT_TOO_LARGE = "amount_too_large"
    NAME_MISSING = "name_missing"
    DUPLICATE_PERSON = "duplicate_person"
    # rejected against the registry and the wallets
    STAFF_UNKNOWN = "staff_unknown"
    OTHER_AGENCY = "other_agency"
    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_OF_ANOTHER = "account_of_another"
    NO_WALLET = "no_wallet"
    # held: not paid until a person has looked
    DUPLICATE_DIFFERS = "duplicate_differs"
    PERSON_LEFT = "person_left"
    PERSON_RETIRED = "person_retired"
    PERSON_DECEASED = "person_deceased"
    # flagged: paid all the same
    NAME_DIFFERS = "name_differs"
    SMART_ID_FROZEN = "smart_id_frozen"
    SMART_ID_BLOCKED = "smart_id_blocked"
    # returned while paying
    WALLET_CLOSED = "wallet_closed"


HELD: Final = frozenset(
    {
        LineCode.DUPLICATE_DIFFERS,
        LineCode.PERSON_LEFT,
        LineCode.PERSON_RETIRED,
        LineCode.PERSON_DECEASED,
    }
)
FLAGGED: Final = frozenset(
    {LineCode.NAME_DIFFERS, LineCode.SMART_ID_FROZEN, LineCode.SMART_ID_BLOCKED}
)


class FileCode(enum.StrEnum):
    """Why nothing is paid from a whole file."""

    EMPTY = "empty"
    HEADER_WRONG = "header_wrong"
    NOT_UTF8 = "not_utf8"
    NUL_BYTE = "nul_byte"
    LINE_TOO_LONG = "line_too_long"
    TOO_MANY_LINES = "too_many_lines"
    NOT_SALARY_LINES = "not_salary_lines"
    CONTROL_ROW_MISSING = "control_row_missing"
    CONTROL_ROW_MALFORMED = "control_row_malformed"
    COUNT_WRONG = "count_wrong"
    TOTAL_ROW_COUNTED = "total_row_counted"
    SUM_WRONG = "sum_wrong"
    LINES_AFTER_TOTAL = "lines_after_total"
    PERIOD_INVALID = "period_invalid"
    PERIOD_MIXED = "period_mixed"
    PERIOD_REPEATED = "period_repeated"
    OTHER_AGENCY_FILE = "other_agency_file"
    NOTHING_TO_PAY = "nothing_to_pay"
    RECALLED = "recalled"


class FileFault(Struct, frozen=True, kw_only=True):
    """One reason why a file is refused, at the line that shows it (0: the file as a whole)."""

    code: FileCode
    line_no: int = 0
    facts: Facts = {}


class Sentence(Struct, frozen=True):
    en: str
    km: str


def line_sentence(code: LineCode) -> Sentence:
    return _LINES[code]


def file_sentence(code: FileCode) -> Sentence:
    return _FILES[code]


_LINES: Final = {
    LineCode.COLUMNS_WRONG: Sentence(
        "The line does not have the seven columns; compare it with the header.",
        "ជួរនេះមិនមានប្រាំពីរជួរឈរទេ សូមប្រៀបធៀបជាមួយក្បាលតារាង។",
    ),
    LineCode.FORMULA_CELL: Sentence(
        "A cell begins with = + - or @; paste it as a plain value.",
        "ក្រឡាមួយចាប់ផ្ដើមដោយ = + - ឬ @ សូមបិទភ្ជាប់ជាតម្លៃធម្មតា។",
    ),
    LineCode.TOTAL_ROW_AS_PERSON: Sentence(
        "This is a total row, not a person; keep only the last row TOTAL,<count>,<sum>.",
        "ជួរនេះជាជួរសរុប មិនមែនបុគ្គលទេ សូមទុកតែជួរចុងក្រោយ TOTAL,<ចំនួន>,<សរុប>។",
    ),
    LineCode.STAFF_NO_SHORT: Sentence(
        "The staff number has fewer than ten digits; its leading zeros were lost.",
        "លេខមន្ត្រីមិនគ្រប់ដប់ខ្ទង់ទេ លេខសូន្យខាងមុខបានបាត់។",
    ),
    LineCode.STAFF_NO_SCIENTIFIC: Sentence(
        "The staff number became a rounded number (like 1.23E+9); format the column as text.",
        "លេខមន្ត្រីត្រូវបានប្ដូរជាលេខបង្គត់ (ដូច 1.23E+9) សូមកំណត់ជួរឈរជាអក្សរ។",
    ),
    LineCode.STAFF_NO_MALFORMED: Sentence(
        "The staff number must be ten digits.",
        "លេខមន្ត្រីត្រូវមានដប់ខ្ទង់។",
    ),
    LineCode.ACCOUNT_SHORT: Sentence(
        "The account number has fewer than ten digits; its leading zeros were lost.",
        "លេខគណនីមិនគ្រប់ដប់ខ្ទង់ទេ លេខសូន្យខាងមុខបានបាត់។",
    ),
    LineCode.ACCOUNT_SCIENTIFIC: Sentence(
        "The account number became a rounded number (like 1.23E+11); format the column as text.",
        "លេខគណនីត្រូវបានប្ដូរជាលេខបង្គត់ (ដូច 1.23E+11) សូមកំណត់ជួរឈរជាអក្សរ។",
    ),
    LineCode.ACCOUNT_MALFORMED: Sentence(
        "The account number must be ten digits.",
        "លេខគណនីត្រូវមានដប់ខ្ទង់។",
    ),
    LineCode.AMOUNT_ZERO: Sentence(
        "The amount is zero; remove the line or write the amount.",
        "ចំនួនទឹកប្រាក់ស្មើសូន្យ សូមលុបជួរនេះ ឬសរសេរចំនួន។",
    ),
    LineCode.AMOUNT_NEGATIVE: Sentence(
        "The amount is negative; money is recovered through a case, not a salary file.",
        "ចំនួនទឹកប្រាក់អវិជ្ជមាន ការទាមទារប្រាក់វិញត្រូវធ្វើតាមសំណុំរឿង មិនមែនតាមឯកសារបៀវត្សទេ។",
    ),
    LineCode.AMOUNT_FRACTIONAL: Sentence(
        "The amount has a fraction; write whole riel.",
        "ចំនួនទឹកប្រាក់មានក្បៀស សូមសរសេរជារៀលគត់។",
    ),
    LineCode.AMOUNT_GROUPED: Sentence(
        "The amount has separators; write digits only (1309477).",
        "ចំនួនទឹកប្រាក់មានសញ្ញាបំបែក សូមសរសេរតែលេខ (1309477)។",
    ),
    LineCode.AMOUNT_MALFORMED: Sentence(
        "The amount cannot be read; write whole riel in digits only.",
        "មិនអាចអានចំនួនទឹកប្រាក់បានទេ សូមសរសេរជារៀលគត់ដោយលេខ។",
    ),
    LineCode.AMOUNT_TOO_LARGE: Sentence(
        "The amount is above the largest salary one line may pay.",
        "ចំនួនទឹកប្រាក់លើសពីបៀវត្សខ្ពស់បំផុតដែលមួយជួរអាចបើក។",
    ),
    LineCode.NAME_MISSING: Sentence(
        "A name is missing; write both the Latin and the Khmer name.",
        "ខ្វះឈ្មោះ សូមសរសេរទាំងឈ្មោះឡាតាំង និងឈ្មោះខ្មែរ។",
    ),
    LineCode.DUPLICATE_PERSON: Sentence(
        "This person already stands on an earlier line of the file.",
        "បុគ្គលនេះមាននៅជួរមុនក្នុងឯកសាររួចហើយ។",
    ),
    LineCode.STAFF_UNKNOWN: Sentence(
        "No civil servant has this staff number.",
        "គ្មានមន្ត្រីណាមានលេខនេះទេ។",
    ),
    LineCode.OTHER_AGENCY: Sentence(
        "This person does not belong to your institution.",
        "បុគ្គលនេះមិនមែនជាមន្ត្រីនៃស្ថាប័នរបស់អ្នកទេ។",
    ),
    LineCode.ACCOUNT_UNKNOWN: Sentence(
        "No wallet has this account number.",
        "គ្មានគណនីណាមានលេខនេះទេ។",
    ),
    LineCode.ACCOUNT_OF_ANOTHER: Sentence(
        "The account number is not this person's riel wallet.",
        "លេខគណនីនេះមិនមែនជាគណនីរៀលរបស់បុគ្គលនេះទេ។",
    ),
    LineCode.NO_WALLET: Sentence(
        "This person has no open riel wallet yet.",
        "បុគ្គលនេះមិនទាន់មានគណនីរៀលបើកទេ។",
    ),
    LineCode.DUPLICATE_DIFFERS: Sentence(
        "A later line gives this person another amount; held until the right one is known.",
        "ជួរក្រោយផ្ដល់ចំនួនផ្សេងសម្រាប់បុគ្គលនេះ ត្រូវរង់ចាំរហូតដឹងចំនួនត្រឹមត្រូវ។",
    ),
    LineCode.PERSON_LEFT: Sentence(
        "This person is recorded as having left; held until the record is checked.",
        "បុគ្គលនេះត្រូវបានកត់ត្រាថាបានចាកចេញ ត្រូវរង់ចាំការផ្ទៀងផ្ទាត់។",
    ),
    LineCode.PERSON_RETIRED: Sentence(
        "This person is recorded as retired; held until the record is checked.",
        "បុគ្គលនេះត្រូវបានកត់ត្រាថាបានចូលនិវត្តន៍ ត្រូវរង់ចាំការផ្ទៀងផ្ទាត់។",
    ),
    LineCode.PERSON_DECEASED: Sentence(
        "This person is recorded as deceased; held until the record is checked.",
        "បុគ្គលនេះត្រូវបានកត់ត្រាថាបានទទួលមរណភាព ត្រូវរង់ចាំការផ្ទៀងផ្ទាត់។",
    ),
    LineCode.NAME_DIFFERS: Sentence(
        "The name is not written as in the registry; the salary is paid, please correct the name.",
        "ឈ្មោះមិនដូចក្នុងបញ្ជីទេ បៀវត្សនៅតែបើក សូមកែឈ្មោះ។",
    ),
    LineCode.SMART_ID_FROZEN: Sentence(
        "Payments with this person's Smart ID are frozen; the salary still lands.",
        "ការទូទាត់តាម Smart ID របស់បុគ្គលនេះត្រូវបានផ្អាក បៀវត្សនៅតែចូល។",
    ),
    LineCode.SMART_ID_BLOCKED: Sentence(
        "Payments with this person's Smart ID are blocked; the salary still lands.",
        "ការទូទាត់តាម Smart ID របស់បុគ្គលនេះត្រូវបានបិទ បៀវត្សនៅតែចូល។",
    ),
    LineCode.WALLET_CLOSED: Sentence(
        "The wallet was closed after the file was checked; the amount stays with the Treasury.",
        "គណនីត្រូវបានបិទក្រោយពេលពិនិត្យឯកសារ ប្រាក់នៅជាមួយរតនាគារ។",
    ),
}

_FILES: Final = {
    FileCode.EMPTY: Sentence("The file has no salary lines.", "ឯកសារគ្មានជួរបៀវត្សទេ។"),
    FileCode.HEADER_WRONG: Sentence(
        "The first line must be the header "
        "staff_no,account_no,name_latin,name_khmer,amount_khr,period,half.",
        "ជួរទីមួយត្រូវជាក្បាលតារាង staff_no,account_no,name_latin,name_khmer,amount_khr,period,half។",
    ),
    FileCode.NOT_UTF8: Sentence(
        "The file is not in Unicode (UTF-8); save it as 'CSV UTF-8' and convert Limon text first.",
        "ឯកសារមិនមែនជាយូនីកូដ (UTF-8) ទេ សូមរក្សាទុកជា «CSV UTF-8» និងបម្លែងអក្សរលីមូនជាមុន។",
    ),
    FileCode.NUL_BYTE: Sentence(
        "The file holds NUL bytes: it is not a text file or not UTF-8; save it as 'CSV UTF-8'.",
        "ឯកសារមានបៃ NUL មិនមែនជាអត្ថបទ UTF-8 ទេ សូមរក្សាទុកជា «CSV UTF-8»។",
    ),
    FileCode.LINE_TOO_LONG: Sentence(
        "A line is too long to be a salary line; this is not a salary file.",
        "ជួរមួយវែងពេក មិនអាចជាជួរបៀវត្សបានទេ នេះមិនមែនជាឯកសារបៀវត្សទេ។",
    ),
    FileCode.TOO_MANY_LINES: Sentence(
        "The file has too many lines; split it by institution.",
        "ឯកសារមានជួរច្រើនពេក សូមបំបែកតាមស្ថាប័ន។",
    ),
    FileCode.NOT_SALARY_LINES: Sentence(
        "Most lines cannot be read as salary lines; reading was stopped.",
        "ជួរភាគច្រើនមិនអាចអានជាជួរបៀវត្សបានទេ ការអានត្រូវបានបញ្ឈប់។",
    ),
    FileCode.CONTROL_ROW_MISSING: Sentence(
        "The last row TOTAL,<count>,<sum> is missing; the file may be cut short.",
        "ខ្វះជួរចុងក្រោយ TOTAL,<ចំនួន>,<សរុប> ឯកសារអាចដាច់។",
    ),
    FileCode.CONTROL_ROW_MALFORMED: Sentence(
        "The last row must be TOTAL,<count>,<sum> in digits only.",
        "ជួរចុងក្រោយត្រូវជា TOTAL,<ចំនួន>,<សរុប> ដោយលេខសុទ្ធ។",
    ),
    FileCode.COUNT_WRONG: Sentence(
        "The count in the TOTAL row is not the number of lines.",
        "ចំនួនក្នុងជួរ TOTAL មិនស្មើចំនួនជួរទេ។",
    ),
    FileCode.TOTAL_ROW_COUNTED: Sentence(
        "The count in the TOTAL row is one too many: the TOTAL row itself is not a person.",
        "ចំនួនក្នុងជួរ TOTAL លើសមួយ ជួរ TOTAL ខ្លួនវាមិនមែនជាបុគ្គលទេ។",
    ),
    FileCode.SUM_WRONG: Sentence(
        "The sum in the TOTAL row is not the sum of the amounts.",
        "ផលបូកក្នុងជួរ TOTAL មិនស្មើផលបូកចំនួនទឹកប្រាក់ទេ។",
    ),
    FileCode.LINES_AFTER_TOTAL: Sentence(
        "There are lines after the TOTAL row.", "មានជួរនៅក្រោយជួរ TOTAL។"
    ),
    FileCode.PERIOD_INVALID: Sentence(
        "The period must be written like 2026-01 and the half as 1 or 2.",
        "រយៈពេលត្រូវសរសេរដូច 2026-01 និងពាក់កណ្ដាលខែជា 1 ឬ 2។",
    ),
    FileCode.PERIOD_MIXED: Sentence(
        "The file holds more than one period or half; send one file for each.",
        "ឯកសារមានរយៈពេលច្រើន សូមផ្ញើមួយឯកសារសម្រាប់មួយរយៈពេល។",
    ),
    FileCode.PERIOD_REPEATED: Sentence(
        "Your institution already sent a file for this period and half.",
        "ស្ថាប័នរបស់អ្នកបានផ្ញើឯកសារសម្រាប់រយៈពេលនេះរួចហើយ។",
    ),
    FileCode.OTHER_AGENCY_FILE: Sentence(
        "These are another institution's people; nothing is paid.",
        "ទាំងនេះជាមន្ត្រីនៃស្ថាប័នផ្សេង គ្មានអ្វីត្រូវបើកទេ។",
    ),
    FileCode.NOTHING_TO_PAY: Sentence(
        "No line of the file can be paid; correct the lines and send it again.",
        "គ្មានជួរណាអាចបើកបានទេ សូមកែ ហើយផ្ញើម្ដងទៀត។",
    ),
    FileCode.RECALLED: Sentence(
        "The file was recalled by an officer before it was approved.",
        "ឯកសារត្រូវបានមន្ត្រីដកវិញមុនពេលអនុម័ត។",
    ),
}
