"""Token ids on the disk: the same as without, found again, private, bounded, never half there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import labelled_rows, tiny_tokenizer

from tunesmith.bases import TokenizedDataset, tokenize
from tunesmith.bases._token_cache import TokenCache, cache_key

WORDPIECE = tiny_tokenizer("wordpiece")
INPUTS = [(text,) for text, _ in labelled_rows(300)]
MANY = INPUTS * 30
"""More than are asked for at a time."""


@pytest.fixture
def cache(tmp_path: Path) -> TokenCache:
    return TokenCache(tmp_path / "tokens", fewest_rows=10)


def same(left: TokenizedDataset, right: TokenizedDataset) -> bool:
    names = ("ids", "types", "offsets", "full_lengths")
    pairs = [(getattr(left, name), getattr(right, name)) for name in names]
    arrays = all((a is None and b is None) or np.array_equal(a, b) for a, b in pairs)
    return arrays and (left.unknown_share, left.pad_id) == (right.unknown_share, right.pad_id)


def is_mapped(array: np.ndarray | None) -> bool:
    return array is not None and isinstance(array.base, np.memmap)


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
def test_cached_ids_are_the_same_and_on_the_disk(cache: TokenCache, kind: str) -> None:
    tokenizer = tiny_tokenizer(kind)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    inputs = [*INPUTS, ("",), ("我的包裹在哪里",), ("card " * 90,)]
    plain = tokenize(tokenizer, inputs, 16)
    made, found = (tokenize(tokenizer, inputs, 16, cache=cache) for _ in range(2))
    assert same(plain, made)
    assert same(plain, found)
    assert not is_mapped(plain.ids)
    assert is_mapped(made.ids)
    assert is_mapped(found.full_lengths)
    assert is_mapped(found.types) == (kind == "wordpiece")
    rows = np.array([3, 301, 302, 0])
    for name, values in plain.batch(rows).items():
        assert np.array_equal(values, found.batch(rows)[name])


def test_pairs_are_cached(cache: TokenCache) -> None:
    pairs = [(left, right) for (left,), (right,) in zip(INPUTS, INPUTS[::-1], strict=True)]
    plain = tokenize(WORDPIECE, pairs, 16)
    assert same(plain, tokenize(WORDPIECE, pairs, 16, cache=cache))
    assert same(plain, tokenize(WORDPIECE, pairs, 16, cache=cache))


def test_what_is_found_is_not_made_again(cache: TokenCache) -> None:
    told: list[int] = []
    tokenize(WORDPIECE, MANY, 16, cache=cache, on_rows=told.append)
    assert len(told) > 2
    assert sum(told) == len(MANY)
    [entry] = cache.entries()
    written = (cache.folder / entry.name / "ids").stat()
    told.clear()
    tokenize(WORDPIECE, MANY, 16, cache=cache, on_rows=told.append)
    assert told == [len(MANY)]
    assert (cache.folder / entry.name / "ids").stat().st_mtime_ns == written.st_mtime_ns


def test_small_data_is_not_written(cache: TokenCache) -> None:
    tokenize(WORDPIECE, INPUTS[:9], 16, cache=cache)
    assert not cache.folder.exists()
    assert cache.entries() == []
    assert cache.clear() == 0


def test_the_key_is_of_all_that_counts() -> None:
    other = tiny_tokenizer("wordpiece")
    other.add_tokens(["refundable"])
    one = [("my card", "is lost"), ("where", "is it")]
    keys = [
        cache_key(WORDPIECE, one, 16),
        cache_key(WORDPIECE, one, 17),
        cache_key(other, one, 16),
        cache_key(tiny_tokenizer("bytes"), one, 16),
        cache_key(WORDPIECE, one[::-1], 16),
        cache_key(WORDPIECE, [(b, a) for a, b in one], 16),
        cache_key(WORDPIECE, [("my card", "is los"), ("twhere", "is it")], 16),
        cache_key(WORDPIECE, [(f"{a}{b}",) for a, b in one], 16),
    ]
    assert len(set(keys)) == len(keys)
    WORDPIECE(["my card"], truncation=True, max_length=3, padding=True)
    assert cache_key(WORDPIECE, one, 16) == keys[0]


def cut_short(entry: Path) -> None:
    os.truncate(entry / "ids", (entry / "ids").stat().st_size - 4)


def flip(entry: Path) -> None:
    content = bytearray((entry / "ids").read_bytes())
    content[100] ^= 1
    (entry / "ids").write_bytes(content)


def say(**facts: Any) -> Callable[[Path], None]:
    def change(entry: Path) -> None:
        header = json.loads((entry / "entry.json").read_text())
        header["arrays"]["ids"] |= facts
        (entry / "entry.json").write_text(json.dumps(header))

    return change


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut short": cut_short,
    "a bit flipped": flip,
    "a file lost": lambda entry: (entry / "lengths").unlink(),
    "header lost": lambda entry: (entry / "entry.json").unlink(),
    "header empty": lambda entry: (entry / "entry.json").write_text(""),
    "header of something else": lambda entry: (entry / "entry.json").write_text('["a"]'),
    "another format": lambda entry: (entry / "entry.json").write_text('{"format": "tokens 0"}'),
    "objects": say(dtype="|O"),
    "floats": say(dtype="<f4"),
    "more than there is": say(size=10**9),
    "not a number": say(size="many"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again(cache: TokenCache, damage: str) -> None:
    plain = tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    ids = plain.ids.tolist()
    [entry] = cache.entries()
    DAMAGES[damage](cache.folder / entry.name)
    assert cache.find(entry.name) is None
    told: list[int] = []
    again = tokenize(WORDPIECE, INPUTS, 16, cache=cache, on_rows=told.append)
    assert again.ids.tolist() == ids
    assert is_mapped(again.ids)
    assert [one.name for one in cache.entries()] == [entry.name]
    assert cache.find(entry.name) is not None


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_folder_is_its_owners_alone(cache: TokenCache) -> None:
    cache.folder.mkdir(mode=0o755)
    tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    [entry] = cache.entries()
    for folder in (cache.folder, cache.folder / entry.name):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_entries_that_others_could_have_planted_are_not_read(cache: TokenCache) -> None:
    tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    [entry] = cache.entries()
    cache.folder.chmod(0o777)
    assert cache.find(entry.name) is None
    assert (cache.folder / entry.name).is_dir()


def test_no_text_is_written(cache: TokenCache) -> None:
    tokenize(WORDPIECE, [("the parcel",), *INPUTS], 16, cache=cache)
    written = b"".join(file.read_bytes() for file in cache.folder.rglob("*") if file.is_file())
    assert b"parcel" not in written


def test_the_oldest_make_room(cache: TokenCache) -> None:
    for length in (8, 9, 10):
        tokenize(WORDPIECE, INPUTS, length, cache=cache)
    first, second, third = cache.entries()
    for age_s, entry in ((30, first), (20, second), (10, third)):
        used = time.time() - age_s
        os.utime(cache.folder / entry.name / "entry.json", (used, used))
    tokenize(WORDPIECE, INPUTS, 8, cache=cache)  # the first, which now is the last one used
    assert [one.name for one in cache.entries()] == [second.name, third.name, first.name]
    tight = replace(cache, limit_bytes=sum(one.size_bytes for one in cache.entries()))
    tokenize(WORDPIECE, INPUTS, 11, cache=tight)
    left = [one.name for one in cache.entries()]
    assert left[:-1] in ([third.name, first.name], [first.name])
    assert sum(one.size_bytes for one in cache.entries()) <= tight.limit_bytes


def test_the_newest_stays_however_large(cache: TokenCache) -> None:
    small = replace(cache, limit_bytes=1)
    for length in (8, 9):
        made = tokenize(WORDPIECE, INPUTS, length, cache=small)
        assert is_mapped(made.ids)
        assert len(cache.entries()) == 1


def test_clear_removes_entries_alone(cache: TokenCache) -> None:
    made = tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    (cache.folder / "mine.txt").write_text("precious")
    (cache.folder / "mine").mkdir()
    [entry] = cache.entries()
    files = list((cache.folder / entry.name).iterdir())
    assert entry.size_bytes == sum(file.stat().st_size for file in files)
    assert cache.clear() == entry.size_bytes
    assert sorted(child.name for child in cache.folder.iterdir()) == ["mine", "mine.txt"]
    assert same(made, tokenize(WORDPIECE, INPUTS, 16))  # what is mapped stays readable


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = TokenCache(tmp_path / "file" / "tokens", fewest_rows=0)
    made = tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    assert same(made, tokenize(WORDPIECE, INPUTS, 16))
    assert not is_mapped(made.ids)


def test_a_full_disk(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    made = tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    assert same(made, tokenize(WORDPIECE, INPUTS, 16))
    assert list(cache.folder.iterdir()) == []


def test_an_interruption_leaves_nothing(cache: TokenCache) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(WORDPIECE, INPUTS, 16, cache=cache, on_rows=stop)
    assert list(cache.folder.iterdir()) == []


def test_of_two_at_once_the_sooner_one_counts(cache: TokenCache) -> None:
    key = cache_key(WORDPIECE, INPUTS, 16)
    sooner = {"lengths": np.arange(5)}

    def slowly() -> Iterator[dict[str, np.ndarray]]:
        assert cache.add(key, [sooner]) is not None
        yield {"lengths": np.arange(9)}

    found = cache.add(key, slowly())
    assert found is not None
    assert found["lengths"].tolist() == [0, 1, 2, 3, 4]
    assert [child.name for child in cache.folder.iterdir()] == [key]


def test_what_a_killed_process_left_goes_with_time(cache: TokenCache) -> None:
    tokenize(WORDPIECE, INPUTS, 16, cache=cache)
    [entry] = cache.entries()
    days_ago = time.time() - 3 * 86_400
    for name, used in ((f".{entry.name}.old", days_ago), (f".{entry.name}.new", time.time())):
        shutil.copytree(cache.folder / entry.name, cache.folder / name)
        os.utime(cache.folder / name, (used, used))
    tokenize(WORDPIECE, INPUTS, 17, cache=cache)
    left = [child.name for child in cache.folder.iterdir() if child.name.startswith(".")]
    assert left == [f".{entry.name}.new"]


def test_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "chosen"))
    cache = TokenCache.of_user()
    assert cache.folder == tmp_path / "chosen" / "tokens"
    assert not (tmp_path / "chosen").exists()
    assert cache.fewest_rows == 20_000
    assert cache.limit_bytes == 5e9
