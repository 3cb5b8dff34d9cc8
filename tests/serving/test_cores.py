"""Who has the cores, and in which order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tunesmith.serving._cores import Cores


def test_one_alone_or_several_beside_one_another() -> None:
    cores = Cores()
    running: list[str] = []
    seen: list[tuple[int, int]] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        kind = "alone" if number % 5 == 0 else "beside"
        with cores.alone() if kind == "alone" else cores.beside(3):
            with lock:
                running.append(kind)
                seen.append((running.count("alone"), running.count("beside")))
            threading.Event().wait(0.002)
            with lock:
                running.remove(kind)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(120)))
    assert len(seen) == 120
    assert set(seen) <= {(1, 0), (0, 1), (0, 2), (0, 3)}
    assert (0, 3) in seen


def test_who_wants_all_is_not_passed_by_those_that_come_later() -> None:
    cores = Cores()
    order: list[str] = []

    def work(name: str, *, alone: bool) -> None:
        with cores.alone() if alone else cores.beside(2):
            order.append(name)

    with ExitStack() as first:
        first.enter_context(cores.beside(2))
        threads = []
        for name, alone in (("all", True), ("late", False), ("later", False)):
            threads.append(threading.Thread(target=work, args=(name,), kwargs={"alone": alone}))
            threads[-1].start()
            threading.Event().wait(0.05)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order[0] == "all"
    assert sorted(order[1:]) == ["late", "later"]


def test_a_fault_gives_them_back() -> None:
    cores = Cores()
    had: list[str] = []
    for use in (cores.alone, lambda: cores.beside(2)):
        with pytest.raises(ValueError, match="a fault"), use():
            raise ValueError("a fault")
        with cores.alone():
            had.append("all")
    assert had == ["all", "all"]
