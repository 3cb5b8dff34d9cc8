"""National numbers that have check digits, and those that are only known by the word before them.

Spain's DNI and NIE, Italy's codice fiscale, France's NIR (numéro de sécurité sociale), India's
Aadhaar (Verhoeff 1969), Brazil's CPF, China's resident id (GB 11643), the Netherlands' BSN, and
passports. Where a check digit lets a tenth of all numbers pass, the number must be written in its
usual groups, or a word must name it.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["NATIONAL"]

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6,
    8, 12, 14, 16, 10, 22, 25, 24, 23,
), strict=True))  # fmt: skip
"""What a character of a codice fiscale counts in the first, third, … place."""
_TIMES = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321",
    "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
"""Multiplication in the dihedral group of ten elements, for Verhoeff's check digit."""
_TURNED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901",
    "2793806415", "7046913258",
)  # fmt: skip
"""The permutation that a digit undergoes by its place from the right."""


def _digits(text: str) -> list[int]:
    return [int(one) for one in text if one.isdigit()]


def _dni(text: str) -> bool:
    bare = text.upper().replace("-", "")
    number = int(bare[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2"))
    return _DNI_LETTERS[number % 23] == bare[-1]


def _codice_fiscale(text: str) -> bool:
    text = text.upper()
    odd = sum(_ODD[one] for one in text[:15:2])
    even = sum(int(one, 36) - (0 if one.isdigit() else 10) for one in text[1:15:2])
    return (odd + even) % 26 == ord(text[15]) - ord("A")


def _nir(text: str) -> bool:
    bare = "".join(text.split()).upper().replace("2A", "19").replace("2B", "18")
    return 97 - int(bare[:13]) % 97 == int(bare[13:])


def _aadhaar(text: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(_digits(text))):
        check = int(_TIMES[check][int(_TURNED[place % 8][digit])])
    return check == 0


def _cpf(text: str) -> bool:
    digits = _digits(text)
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        total = sum(digit * (length + 1 - place) for place, digit in enumerate(digits[:length]))
        if 10 * total % 11 % 10 != digits[length]:
            return False
    return True


def _chinese_id(text: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], weights, strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def _bsn(text: str) -> bool:
    *first, last = _digits(text)
    total = sum(digit * (9 - place) for place, digit in enumerate(first)) - last
    return any(first) and total % 11 == 0


def _passport(text: str) -> bool:
    return sum(one.isdigit() for one in text) >= 4


_BETWEEN = r"[^0-9\n]{0,20}?"

NATIONAL: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("chinese id", r"\b[1-9]\d{5}(?:19|20)\d{2}[01]\d[0-3]\d{4}[0-9Xx]\b", _chinese_id),
    ("spanish id", r"\b(?:\d{8}|[XYZxyz]-?\d{7})-?[A-Za-z]\b", _dni),
    (
        "italian tax code",
        (r"(?i:\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b)"),
        _codice_fiscale,
    ),
    (
        "french social security number",
        r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[ABab])(?: ?\d{3}){2} ?\d{2}\b",
        _nir,
    ),
    ("aadhaar number", r"\b[2-9]\d{3}[ -]\d{4}[ -]\d{4}\b", _aadhaar),
    (
        "aadhaar number",
        rf"(?i:\b(?:aadhaar|aadhar|uidai)\b){_BETWEEN}\b([2-9]\d{{11}})\b",
        _aadhaar,
    ),
    ("cpf number", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", _cpf),
    ("cpf number", rf"(?i:\bcpf\b){_BETWEEN}\b(\d{{11}})\b", _cpf),
    (
        "dutch citizen service number",
        rf"(?i:\b(?:bsn|burgerservicenummer|sofinummer)\b){_BETWEEN}\b(\d{{9}})\b",
        _bsn,
    ),
    (
        "passport number",
        (
            r"(?i:\b(?:passport|reisepass|passeport|pasaporte|passaporto|paspoort)[a-z]{0,8}\b)"
            rf"{_BETWEEN}\b([A-Z]{{0,2}}\d[A-Z0-9]{{5,8}})\b"
        ),
        _passport,
    ),
)
"""Name, pattern and check. Where a word must stand before it, the number alone is the group."""
