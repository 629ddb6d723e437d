"""KHQR codes, top-ups and disputes."""

from typing import Final

from wallet.outcomes import Reason

PAYMENTS: Final[dict[Reason, tuple[str, str]]] = {
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
