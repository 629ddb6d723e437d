"""QR payments: a KHQR code scanned, shown, signed, paid.

Promise: what the phone shows is what is read here, strictly, at this moment; money moves only for
a signed intent, once; a dynamic code is one bill and is paid once, whoever scans it. A payee's name
is either the registry's, or marked "as written in the code".

    intent qr.pay  PENDING -> DONE      wallet debited; payee's wallet or KHQR settlement credited
                           -> DECLINED  qr_expired, qr_already_paid, smart_id_frozen,
                                        smart_id_not_active, limit_exceeded, insufficient_funds, ...

Tables owned: qr_payments (written in `records`). Who calls: the phone's door, through intents.
"""

from wallet.qr.paying import PAY
from wallet.qr.receiving import pay_me
from wallet.qr.scanning import Decoded, PayFields, decode

__all__ = ["PAY", "Decoded", "PayFields", "decode", "pay_me"]
