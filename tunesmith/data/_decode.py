"""Bytes to text: UTF-8 first, then what a byte order mark says, then what looks likely."""

from __future__ import annotations

import codecs

from tunesmith.data._recognise import nul_bytes
from tunesmith.errors import DataError

__all__ = ["decode"]

# UTF-32's mark begins with UTF-16's, so it must be looked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = (
    (b"\x1f\x8b", "it is compressed with gzip; let its name end in .gz"),
    (b"PK\x03\x04", "it is a zip file or an Excel workbook; let a workbook's name end in .xlsx"),
    (b"PAR1", "it is a Parquet file; let its name end in .parquet"),
)
# What tables are saved in besides UTF-8, the usual ones first. Rarer ones are left out: they
# would only make short samples harder to tell apart.
_ENCODINGS = [
    *("cp1252", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1250"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
]
_SAMPLE_BYTES = 1 << 16


def decode(data: bytes, source: str) -> tuple[str, str]:
    """The text that `data` holds, and a note on its encoding ("" for UTF-8).

    Raises:
        DataError: the file is not text, or its encoding cannot be told.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _marked(data, encoding, source)
    if b"\0" in data:
        raise _binary(data, source)
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        if data.startswith(_SIGNATURES[0][0]):
            raise _binary(data, source) from error
        _refuse_damaged(data, error, source)
    for encoding in _likely(data):
        try:
            return data.decode(encoding), f"read as {encoding} (not UTF-8)"
        except UnicodeDecodeError:
            continue
    raise _unreadable("its encoding cannot be told", source)


def _marked(data: bytes, encoding: str, source: str) -> tuple[str, str]:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise _unreadable(f"it says that it is {name}, and is not", source) from error
    if "\0" in text:
        raise _binary(data, source)
    return text, "" if encoding == "utf-8-sig" else f"read as {encoding} (not UTF-8)"


def _refuse_damaged(data: bytes, error: UnicodeDecodeError, source: str) -> None:
    """Raises where a file is UTF-8 but for a few bytes: guessing would spoil all the rest."""
    text = data.decode("utf-8", "replace")
    num_broken = text.count("\ufffd")
    sound = text.replace("\ufffd", "")
    if len(sound.encode()) - len(sound) >= 2 * num_broken:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"a byte is not UTF-8 (0x{data[error.start]:02X}), as the rest of the file is"
        raise _unreadable(what, f"{source}, line {line}")


def _likely(data: bytes) -> list[str]:
    """Encodings that fit the lines with other characters than ASCII, the likeliest first."""
    from charset_normalizer import from_bytes

    sample = bytearray()
    for line in data.split(b"\n"):
        if not line.isascii():
            sample += line + b"\n"
        if len(sample) >= _SAMPLE_BYTES:
            break
    # Of encodings that fit equally well, the more usual one; a match stands for all that agree.
    fits = [
        (match.chaos, -match.coherence, _ENCODINGS.index(encoding))
        for match in from_bytes(bytes(sample), cp_isolation=_ENCODINGS)
        for encoding in match.could_be_from_charset
        if encoding in _ENCODINGS
    ]
    return list(dict.fromkeys([*(_ENCODINGS[place] for *_, place in sorted(fits)), "cp1252"]))


def _binary(data: bytes, source: str) -> DataError:
    hints = [hint for signature, hint in _SIGNATURES if data.startswith(signature)]
    known = None if hints or b"\0" not in data else nul_bytes(data, source)
    if known:
        return known
    mend = hints[0] if hints else "give a table: csv, tsv, jsonl, json, parquet or xlsx"
    return DataError("looks like a binary file, not text", where=source, mend=mend)


def _unreadable(what: str, where: str) -> DataError:
    return DataError(f"cannot be read as text: {what}", where=where, mend="save it as UTF-8")
