"""The cache: what goes in comes out, and nothing half-written is ever read."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from erc_demo.cache import Cache, Entry, key


def entry(n: int, size: int = 1000) -> Entry:
    return Entry(arrays={"x": np.full(size, n, np.float32)}, data={"n": n, "text": "né"})


def test_an_entry_comes_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10)
    name = key("step", "1", sound="abc", people=2)
    assert cache.get(name) is None
    cache.put(name, entry(3))
    found = Cache(tmp_path, 10).get(name)
    assert found is not None
    assert found.data == {"n": 3, "text": "né"}
    np.testing.assert_array_equal(found.arrays["x"], entry(3).arrays["x"])


def test_the_key_holds_everything_it_depends_on() -> None:
    base = key("step", "1", sound="a", people=None)
    others = {
        key("step", "2", sound="a", people=None),
        key("pets", "1", sound="a", people=None),
        key("step", "1", sound="b", people=None),
        key("step", "1", sound="a", people=1),
        key("step", "1", sound="a"),
    }
    assert len(others | {base}) == 6


@pytest.mark.parametrize("cut", [0, 10, 200, -1])
def test_a_damaged_entry_counts_as_absent_and_goes(tmp_path: Path, cut: int) -> None:
    cache = Cache(tmp_path, 10)
    name = key("step", "1")
    cache.put(name, entry(1))
    (path,) = tmp_path.glob("*/*.npz")
    path.write_bytes(path.read_bytes()[:cut])
    assert cache.get(name) is None
    assert not path.exists()


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10)
    name = key("step", "1")
    cache.put(name, entry(1))
    (path,) = tmp_path.glob("*/*.npz")
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    assert cache.get(name) is None


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1)
    names = [key("step", str(n)) for n in range(8)]

    def put(n: int) -> None:
        cache.put(names[n], entry(n, size=50_000))  # 200 kB each: 1 MB holds five
        os.utime(cache._path(names[n]), (1000 + n, 1000 + n))

    for n in range(5):
        put(n)
    assert cache.get(names[0]) is not None, "used now, so no longer the oldest"
    put(5)
    kept = [n for n in range(6) if cache._path(names[n]).exists()]
    assert kept == [0, 3, 4, 5]
    assert cache.evict() <= 2**20


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none", 0)
    cache.put(key("a", "1"), entry(1))
    assert cache.get(key("a", "1")) is None
    assert not (tmp_path / "none").exists()


def test_a_file_left_by_a_dead_process_is_swept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10)
    cache.put(key("a", "1"), entry(1))
    left = next(tmp_path.glob("*")) / ".aside-x.tmp"
    left.write_bytes(b"half")
    cache.evict()
    assert left.exists(), "a young one may still be being written"
    os.utime(left, (1, 1))
    cache.evict()
    assert not left.exists()


def test_a_disk_that_refuses_costs_the_entry_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path, 10)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache.put(key("a", "1"), entry(1))
    assert cache.get(key("a", "1")) is None
    assert not list(tmp_path.glob("*/*"))


def _write_forever(folder: str, who: int) -> None:
    cache, n = Cache(Path(folder), 1), 0
    while True:
        n += 1
        cache.put(key("step", str(n % 7)), entry(n % 7, size=40_000))
        found = cache.get(key("step", str((n * who) % 7)))
        if found is not None and not (found.arrays["x"] == found.data["n"]).all():
            os._exit(9)


def test_several_processes_and_kills_leave_only_whole_entries(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    for _ in range(2):
        writers = [spawn.Process(target=_write_forever, args=(str(tmp_path), w)) for w in (1, 3)]
        for writer in writers:
            writer.start()
        until = time.monotonic() + 20
        while not list(tmp_path.glob("*/*.npz")) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        for writer in writers:
            assert writer.pid is not None and writer.exitcode is None
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
    cache, whole = Cache(tmp_path, 1), 0
    for n in range(7):
        found = cache.get(key("step", str(n)))
        if found is not None:
            whole += 1
            assert (found.arrays["x"] == n).all() and found.data["n"] == n
    assert whole


def test_no_flipped_bit_makes_a_wrong_answer_or_a_trace(tmp_path: Path) -> None:
    cache, draw = Cache(tmp_path, 10), np.random.default_rng(4)
    name = key("step", "1")
    cache.put(name, entry(1, size=50))
    path = cache._path(name)
    whole = path.read_bytes()
    for at in draw.integers(0, len(whole), 300):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        found = cache.get(name)
        if found is not None:  # a bit that nobody reads, such as a time stamp
            assert found.data == {"n": 1, "text": "né"}
            assert all((array == 1).all() for array in found.arrays.values())
