"""No decision is lost: not by two servers at once, not by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tunesmith.checks import Subject, read_corrections
from tunesmith.errors import DataError, OutputError
from tunesmith.review import Changed, Decisions


def test_a_decision_is_in_the_file_at_once(subject: Subject, corrections: Path) -> None:
    decisions = Decisions(corrections, subject)
    assert decisions.all() == {}
    made = decisions.decide(8, "relabel", "billing", check="suspected-label-errors", seen=None)
    (read,) = read_corrections(corrections).decisions
    assert read == made
    assert (read.row, read.before, read.after) == (8, "delivery", "billing")
    assert Decisions(corrections, subject).all() == {8: made}
    decisions.decide(8, "drop", None, check="", seen=made.when)
    assert read_corrections(corrections).decisions[0].action == "drop"


def test_taken_back(subject: Subject, corrections: Path) -> None:
    decisions = Decisions(corrections, subject)
    first = decisions.decide(1, "keep", None, check="", seen=None)
    decisions.decide(2, "drop", None, check="", seen=None)
    decisions.take_back(1, seen=first.when)
    assert list(decisions.all()) == [2]


def test_what_another_window_decided_is_not_overwritten(
    subject: Subject, corrections: Path
) -> None:
    one, other = Decisions(corrections, subject), Decisions(corrections, subject)
    made = one.decide(1, "keep", None, check="", seen=None)
    with pytest.raises(Changed) as refused:
        other.decide(1, "drop", None, check="", seen=None)
    assert refused.value.present == made
    assert one.all()[1].action == "keep"
    with pytest.raises(Changed):
        other.take_back(2, seen=made.when)


def test_many_writers_lose_nothing(subject: Subject, corrections: Path) -> None:
    def decide(rows: range) -> None:
        own = Decisions(corrections, subject)
        for row in rows:
            own.decide(row, "keep", None, check="", seen=None)

    threads = [threading.Thread(target=decide, args=(range(start, 10, 3),)) for start in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(Decisions(corrections, subject).all()) == list(range(1, 10))
    assert sorted(path.name for path in corrections.parent.iterdir()) == [
        "mail.corrections.csv",
        "mail.csv",
    ]


_WRITER = """
import sys
from pathlib import Path
from tunesmith.checks import Subject
from tunesmith.data import read_table
from tunesmith.review import Decisions
subject = Subject(read_table(sys.argv[1]), ("text",), "label")
decisions = Decisions(Path(sys.argv[2]), subject)
seen = {}
while True:
    for row in range(1, 10):
        seen[row] = decisions.decide(row, "keep", None, check="", seen=seen.get(row)).when
        print(row, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX")
def test_a_kill_leaves_a_whole_file_and_no_lock(
    file: Path, subject: Subject, corrections: Path
) -> None:
    command = [sys.executable, "-c", _WRITER, str(file), str(corrections)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(15):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    decisions = Decisions(corrections, subject)
    known = decisions.all()
    assert list(known) == list(range(1, 10))
    decisions.decide(1, "drop", None, check="", seen=known[1].when)
    assert decisions.all()[1].action == "drop"


def test_a_second_server_knows_that_it_is_one(subject: Subject, corrections: Path) -> None:
    one, other = Decisions(corrections, subject), Decisions(corrections, subject)
    with one.in_use() as first, other.in_use() as second:
        assert (first, second) == (True, False)
    with Decisions(corrections, subject).in_use() as alone:
        assert alone
    assert not list(corrections.parent.glob(".*"))


def test_a_file_of_other_data_is_refused(file: Path, subject: Subject, corrections: Path) -> None:
    Decisions(corrections, subject).decide(1, "drop", None, check="", seen=None)
    from tunesmith.data import read_table

    file.write_text("text,label\nsomething else here,delivery\nand more,billing\n")
    other = Decisions(corrections, Subject(read_table(file), ("text",), "label"))
    with pytest.raises(DataError, match="does not have these rows"):
        other.all()
    with pytest.raises(DataError):
        other.decide(2, "keep", None, check="", seen=None)


def test_rows_that_moved_get_their_new_numbers(
    file: Path, subject: Subject, corrections: Path
) -> None:
    Decisions(corrections, subject).decide(9, "drop", None, check="", seen=None)
    from tunesmith.data import read_table

    first, *lines = file.read_text().splitlines()
    file.write_text("\n".join([first, *reversed(lines)]) + "\n")
    moved = Decisions(corrections, Subject(read_table(file), ("text",), "label"))
    assert list(moved.all()) == [1]
    moved.decide(2, "keep", None, check="", seen=None)
    assert [one.row for one in read_corrections(corrections).decisions] == [1, 2]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(subject: Subject, corrections: Path) -> None:
    corrections.parent.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="may not be written"):
            Decisions(corrections, subject).decide(1, "keep", None, check="", seen=None)
    finally:
        corrections.parent.chmod(0o700)


def test_a_folder_that_is_not_there(subject: Subject, tmp_path: Path) -> None:
    decisions = Decisions(tmp_path / "gone" / "fixes.csv", subject)
    with pytest.raises(OutputError):
        decisions.decide(1, "keep", None, check="", seen=None)
