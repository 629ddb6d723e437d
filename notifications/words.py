"""What a notice is made of, in both languages. Who calls: catalogue, putting_right."""

from msgspec import Struct


class Words(Struct, frozen=True):
    """A title and a sentence, with the event's fields in braces."""

    title_en: str
    text_en: str
    title_km: str
    text_km: str
