"""A receipt's QR code as a picture.

Promise: pure; one mask and one version for every receipt of a size, so that drawing takes a
fraction of choosing the best mask. Who calls: the phones' door.
"""

import base64
import io
from typing import Any, Final

import qrcode
import qrcode.constants
import qrcode.image.svg
from qrcode.image.pure import PyPNGImage
from qrcode.util import MODE_ALPHA_NUM, QRData

CORRECTION: Final = qrcode.constants.ERROR_CORRECT_L
"""The lowest level, 7 %: a receipt is read from a screen or clean paper, and its own proof tells
any error. A higher one would add two sizes."""

MASK: Final = 3


def drawn(text: str) -> tuple[str, str]:
    """The QR code as a `data:` URI of a PNG image and as SVG."""
    code: Any = qrcode.QRCode(error_correction=CORRECTION, border=4, box_size=4, mask_pattern=MASK)
    code.add_data(QRData(text, mode=MODE_ALPHA_NUM))
    code.make(fit=True)
    image = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(image)
    png = "data:image/png;base64," + base64.b64encode(image.getvalue()).decode("ascii")
    svg = code.make_image(image_factory=qrcode.image.svg.SvgPathImage)
    return png, str(svg.to_string(encoding="unicode"))
