"""The programme's first day as data: 17 agencies, 1,859 applicants, 497 cards at 11 ministries.

Promise: the totals are the public ones of the launch (28 December 2022); how they divide among
agencies, and every person, is invented, and the same on every machine. No person is real.
Who calls: seed, tests.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from msgspec import Struct

from wallet.identifiers import AgencyId, BankId
from wallet.registry.agencies import Agency, AgencyKind

FIRST_DAY: Final = date(2022, 12, 28)
"""The launch: the day the first cards were handed over."""


class Share(Struct, frozen=True):
    """One agency's part of the programme's first day."""

    agency: Agency
    applicants: int
    handed_over: int


class Person(Struct, frozen=True, kw_only=True):
    """An invented applicant. `place` counts from 0 over all; everything else follows from it."""

    place: int
    staff_no: str
    agency: AgencyId
    bank: BankId
    name_latin: str
    name_khmer: str
    language: str
    phone: str
    has_card: bool


def _ministry(code: str, name_km: str, name_en: str) -> Agency:
    return Agency(id=AgencyId(code), name_km=name_km, name_en=name_en, kind=AgencyKind.MINISTRY)


def _authority(code: str, name_km: str, name_en: str) -> Agency:
    return Agency(id=AgencyId(code), name_km=name_km, name_en=name_en, kind=AgencyKind.AUTHORITY)


SHARES: Final[tuple[Share, ...]] = (
    Share(_ministry("MCS", "ក្រសួងមុខងារសាធារណៈ", "Ministry of Civil Service"), 214, 96),
    Share(
        _ministry(
            "MOEYS",
            "ក្រសួងអប់រំ យុវជន និងកីឡា",
            "Ministry of Education, Youth and Sport",
        ),
        263,
        84,
    ),
    Share(_ministry("MOH", "ក្រសួងសុខាភិបាល", "Ministry of Health"), 187, 61),
    Share(
        _ministry("MEF", "ក្រសួងសេដ្ឋកិច្ច និងហិរញ្ញវត្ថុ", "Ministry of Economy and Finance"),
        152,
        52,
    ),
    Share(
        _ministry(
            "MPTC",
            "ក្រសួងប្រៃសណីយ៍ និងទូរគមនាគមន៍",
            "Ministry of Post and Telecommunications",
        ),
        121,
        47,
    ),
    Share(_ministry("MOC", "ក្រសួងពាណិជ្ជកម្ម", "Ministry of Commerce"), 108, 38),
    Share(
        _ministry(
            "MAFF",
            "ក្រសួងកសិកម្ម រុក្ខាប្រមាញ់ និងនេសាទ",
            "Ministry of Agriculture, Forestry and Fisheries",
        ),
        134,
        33,
    ),
    Share(_ministry("MOP", "ក្រសួងផែនការ", "Ministry of Planning"), 97, 29),
    Share(_ministry("MOT", "ក្រសួងទេសចរណ៍", "Ministry of Tourism"), 83, 24),
    Share(_ministry("MOE", "ក្រសួងបរិស្ថាន", "Ministry of Environment"), 79, 18),
    Share(
        _ministry("MCFA", "ក្រសួងវប្បធម៌ និងវិចិត្រសិល្បៈ", "Ministry of Culture and Fine Arts"),
        88,
        15,
    ),
    Share(
        _ministry(
            "MLVT",
            "ក្រសួងការងារ និងបណ្តុះបណ្តាលវិជ្ជាជីវៈ",
            "Ministry of Labour and Vocational Training",
        ),
        92,
        0,
    ),
    Share(
        _ministry("MPWT", "ក្រសួងសាធារណការ និងដឹកជញ្ជូន", "Ministry of Public Works and Transport"),
        76,
        0,
    ),
    Share(
        _ministry("MOWRAM", "ក្រសួងធនធានទឹក និងឧតុនិយម", "Ministry of Water Resources and Meteorology"),
        58,
        0,
    ),
    Share(_authority("NAA", "អាជ្ញាធរសវនកម្មជាតិ", "National Audit Authority"), 43, 0),
    Share(_authority("ANA", "អាជ្ញាធរជាតិអប្សរា", "APSARA National Authority"), 37, 0),
    Share(
        _authority(
            "CDC",
            "ក្រុមប្រឹក្សាអភិវឌ្ឍន៍កម្ពុជា",
            "Council for the Development of Cambodia",
        ),
        27,
        0,
    ),
)

AGENCIES: Final = tuple(share.agency for share in SHARES)

_BANKS: Final = ("ACLEDA", "CANADIA", "ACLEDA", "WING", "ACLEDA", "CANADIA", "WING")
"""How people choose their bank, in turn."""

_FAMILY: Final = (
    ("SOK", "សុខ"),
    ("CHAN", "ចាន់"),
    ("KEO", "កែវ"),
    ("CHEA", "ជា"),
    ("LIM", "លឹម"),
    ("HENG", "ហេង"),
    ("KIM", "គឹម"),
    ("SENG", "សេង"),
    ("NGUON", "ងួន"),
    ("MEAS", "មាស"),
    ("PRAK", "ប្រាក់"),
    ("OUK", "អ៊ុក"),
    ("PEN", "ប៉ែន"),
    ("TEP", "ទេព"),
    ("NHEM", "ញ៉ែម"),
    ("SAO", "សៅ"),
    ("ROS", "រស់"),
    ("MAO", "ម៉ៅ"),
    ("YIM", "យឹម"),
    ("KHIEV", "ខៀវ"),
    ("TOUCH", "ទូច"),
    ("VONG", "វង្ស"),
    ("PICH", "ពេជ្រ"),
    ("UNG", "អ៊ឹង"),
    ("CHHIM", "ឈឹម"),
    ("EANG", "អៀង"),
    ("KANG", "កង"),
    ("LY", "លី"),
    ("NOP", "នព្វ"),
    ("SIN", "ស៊ិន"),
    ("THACH", "ថាច់"),
)

_GIVEN: Final = (
    ("DARA", "តារា"),
    ("SOPHEAP", "សុភាព"),
    ("BOPHA", "បុប្ផា"),
    ("VANNAK", "វណ្ណៈ"),
    ("SREYMOM", "ស្រីមុំ"),
    ("RATANA", "រតនា"),
    ("PISETH", "ពិសិដ្ឋ"),
    ("CHANTHA", "ចន្ថា"),
    ("SOTHEA", "សុធា"),
    ("KOSAL", "កុសល"),
    ("THIDA", "ធីតា"),
    ("VEASNA", "វាសនា"),
    ("MALIS", "ម្លិះ"),
    ("SAMNANG", "សំណាង"),
    ("KUNTHEA", "គន្ធា"),
    ("VUTHY", "វុទ្ធី"),
    ("LEAKENA", "លក្ខិណា"),
    ("BUNTHOEUN", "ប៊ុនធឿន"),
    ("SREYPOV", "ស្រីពៅ"),
    ("RITHY", "ឫទ្ធី"),
    ("MONY", "មុនី"),
    ("SOVANN", "សុវណ្ណ"),
    ("CHENDA", "ចិន្តា"),
    ("NARITH", "ណារិទ្ធ"),
    ("PHALLA", "ផល្លា"),
    ("SOKHOM", "សុខុម"),
    ("THEARY", "ធារី"),
    ("VIRAK", "វីរៈ"),
    ("SOPHORN", "សុផន"),
    ("MAKARA", "មករា"),
    ("BOREY", "បុរី"),
    ("KANIKA", "កណិកា"),
    ("SAMBATH", "សម្បត្តិ"),
    ("CHAMROEUN", "ចម្រើន"),
    ("REAKSMEY", "រស្មី"),
    ("SOCHEATA", "សុជាតា"),
    ("VISAL", "វិសាល"),
    ("NIMOL", "និមល"),
    ("PHEAKDEY", "ភក្ដី"),
    ("DAVY", "ដាវី"),
    ("SEREY", "សេរី"),
    ("PUTHEA", "ពុទ្ធា"),
    ("SINA", "ស៊ីណា"),
)

_PREFIXES: Final = ("010", "012", "017", "077", "088", "092", "096", "097")
"""Mobile prefixes the people's telephone numbers begin with."""


def everybody() -> Iterator[Person]:
    """All 1,859 applicants, agency by agency, those with a card first."""
    place = 0
    for share in SHARES:
        for within in range(share.applicants):
            yield person(place, share.agency.id, has_card=within < share.handed_over)
            place += 1


def person(place: int, agency: AgencyId, *, has_card: bool) -> Person:
    """The invented person number `place` (from 0; any number of them)."""
    # Steps without a common factor with the lists' lengths walk through every pair of names.
    family = _FAMILY[place * 7 % len(_FAMILY)]
    given = _GIVEN[place * 11 % len(_GIVEN)]
    return Person(
        place=place,
        staff_no=f"{1_200_000_000 + place * 37 + 11:010d}",
        agency=agency,
        bank=BankId(_BANKS[place % len(_BANKS)]),
        name_latin=f"{family[0]} {given[0]}",
        name_khmer=f"{family[1]} {given[1]}",
        language="en" if place % 9 == 8 else "km",
        phone=_phone(place),
        has_card=has_card,
    )


def _phone(place: int) -> str:
    prefix = _PREFIXES[place % len(_PREFIXES)]
    # 088, 096 and 097 numbers have seven more digits, the others six.
    digits = 7 if prefix in ("088", "096", "097") else 6
    rest = (place * 7919 + 200_003) % 10**digits
    return f"+855{prefix[1:]}{rest:0{digits}d}"
