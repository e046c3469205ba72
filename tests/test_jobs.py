"""Calls made in real processes: order, bounds, exceptions, deaths, and who is trusted."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import errands
import numpy as np
import pytest
from conversation import conversation

from erc_demo import features, jobs
from erc_demo.errors import UserError
from erc_demo.jobs import _cluster, _elsewhere
from erc_demo.settings import Settings


@pytest.fixture(scope="module")
def crew() -> Iterator[jobs.Jobs]:
    with jobs.local(2) as made:
        yield made


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[errands.Scheduler]:
    pytest.importorskip("distributed")
    with errands.scheduler(tmp_path_factory.mktemp("dask")) as made:
        yield made


def test_answers_come_in_order(crew: jobs.Jobs) -> None:
    calls = [(number, 1) for number in range(200)]
    assert list(crew(errands.add, calls)) == list(range(1, 201))
    assert list(crew(errands.add, [])) == []


def test_calls_begin_before_anybody_asks_and_not_all_of_them(
    crew: jobs.Jobs, tmp_path: Path
) -> None:
    many = 10 * _elsewhere.AHEAD
    answers = crew(errands.note, [(tmp_path, number) for number in range(many)])
    begun = 2 * _elsewhere.AHEAD
    errands.until(lambda: len(list(tmp_path.iterdir())) == begun, "the first calls")
    assert list(crew(errands.add, [(1, 1)])) == [2], "they are all that was handed over"
    assert len(list(tmp_path.iterdir())) == begun
    assert list(answers) == list(range(many))


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_answers_that_nobody_asks_for_are_not_made(
    crew: jobs.Jobs, tmp_path: Path, how: str
) -> None:
    answers = crew(errands.await_gate, [(tmp_path, number) for number in range(10)])
    errands.until(lambda: len(list(tmp_path.iterdir())) == 2, "two calls under way")
    if how == "closed":
        answers.close()
        assert list(answers) == []
    else:
        del answers
    (tmp_path / "gate").touch()
    assert list(crew(errands.add, [(1, 1)] * 4)) == [2] * 4
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "gate"}


def test_an_exception_is_raised_at_its_place(crew: jobs.Jobs) -> None:
    answers = crew(errands.refuse_two, [(number,) for number in range(4)])
    assert [next(answers), next(answers)] == [0, 1]
    with pytest.raises(ValueError, match="two is refused") as raised:
        next(answers)
    assert "in refuse_two" in "".join(raised.value.__notes__), "the other process's trace is kept"
    with pytest.raises(RuntimeError, match="Odd: 1 and 1"):
        next(crew(errands.raise_odd, [(1,)]))


def test_a_minute_of_sound_arrives_as_it_was(crew: jobs.Jobs) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, 960_000).astype(np.float32)
    sound.flags.writeable = False
    assert list(crew(errands.total, [(sound,)] * 3)) == [errands.total(sound)] * 3


def test_what_a_library_prints_is_no_answer(crew: jobs.Jobs) -> None:
    assert list(crew(errands.say, [(1,), (2,)])) == [1, 2]


def test_workers_are_modest_guarded_and_deaf_to_ctrl_c(crew: jobs.Jobs) -> None:
    process, threads, guard, interrupt = next(crew(errands.who, [(0,)]))
    assert process != os.getpid()
    assert (threads, guard) == (1, True)
    assert interrupt == str(signal.SIG_IGN)


def test_one_failure_does_not_stop_the_rest(crew: jobs.Jobs) -> None:
    found = dict(crew.each(errands.refuse_two, range(6)))
    assert isinstance(found.pop(2), ValueError)
    assert found == {number: number for number in (0, 1, 3, 4, 5)}


def test_an_item_that_kills_twice_is_named_and_the_rest_is_done(crew: jobs.Jobs) -> None:
    found = list(crew.each(errands.die_of_three, range(8)))
    item, answer = found.pop()
    assert item == 3, "what killed comes again alone, at the end"
    assert isinstance(answer, jobs.Died) and "SIGSEGV" in str(answer)
    assert dict(found) == {number: number**2 for number in (0, 1, 2, 4, 5, 6, 7)}


def test_a_call_whose_process_died_once_is_made_again(crew: jobs.Jobs, tmp_path: Path) -> None:
    assert list(crew.each(errands.die_once, [tmp_path / "each"])) == [(tmp_path / "each", "alive")]
    assert list(crew(errands.die_once, [(tmp_path / "run",)])) == ["alive"]
    answers = crew(errands.die_of_three, [(2,), (3,), (4,)])
    assert next(answers) == 4
    with pytest.raises(jobs.Died, match="SIGSEGV"):
        next(answers)


def test_items_are_taken_as_they_are_needed(crew: jobs.Jobs) -> None:
    endless = itertools.count()
    walk = crew.each(errands.refuse_two, endless)
    for _ in range(10):
        next(walk)
    walk.close()  # type: ignore[attr-defined]
    assert next(endless) < 10 + 3 * 2 * _elsewhere.FILES_AHEAD


def test_features_made_elsewhere_are_those_made_here(crew: jobs.Jobs) -> None:
    dialogue, heard = conversation()
    here = features.extract(["logmel", "gemaps47"], dialogue, heard, Settings())
    there = features.extract(["logmel", "gemaps47"], dialogue, heard, Settings(), run=crew)
    for name, made in here.items():
        # logmel's matrix product sums in another order where it has more threads than one
        np.testing.assert_allclose(made.rows, there[name].rows, rtol=1e-5, atol=1e-5)
        assert made.remarks == there[name].remarks


def test_one_worker_is_this_process(tmp_path: Path) -> None:
    with jobs.local(1) as here:
        assert next(here(errands.who, [(0,)]))[0] == os.getpid()
        later = here(errands.note, [(tmp_path, 1)])
        assert not list(tmp_path.iterdir())
        assert list(later) == [1]
        found = dict(here.each(errands.refuse_two, range(4)))
    assert isinstance(found.pop(2), ValueError)
    assert found == {0: 0, 1: 1, 3: 3}


def test_leaving_ends_the_workers_at_once(tmp_path: Path) -> None:
    with jobs.local(2) as crew:
        crew(errands.linger, [(tmp_path,), (tmp_path,)])
        errands.until(lambda: len(list(tmp_path.iterdir())) == 2, "two workers")
    assert not [path for path in tmp_path.iterdir() if _alive(int(path.name))]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import errands, pathlib, sys\n"
        "from erc_demo import jobs\n"
        "with jobs.local(2) as crew:\n"
        "    list(crew(errands.linger, [(pathlib.Path(sys.argv[1]),)] * 2))\n"
    )
    path = os.pathsep.join([str(errands.HERE.parent), str(errands.HERE)])
    parent = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], env=os.environ | {"PYTHONPATH": path}
    )
    try:
        errands.until(lambda: len(list(tmp_path.iterdir())) == 2, "two workers")
    finally:
        parent.kill()
        parent.wait()
    workers = [int(path.name) for path in tmp_path.iterdir()]
    errands.until(lambda: not any(map(_alive, workers)), "the end of the workers")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in _status(process)  # whoever adopted it has not buried it yet


def _status(process: int) -> str:
    try:
        return Path(f"/proc/{process}/status").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("tcp://10.0.0.1:8786", "another machine without TLS"),
        ("tcp://localhost.example.org:8786", "another machine without TLS"),
        ("tcp://[fe80::1]:8786", "another machine without TLS"),
        ("tls://10.0.0.1:8786", "Dask's configuration names none"),
        ("ucx://127.0.0.1:8786", "no cluster's address"),
        ("inproc://127.0.0.1/1", "no cluster's address"),
        ("127.0.0.1:8786", "no cluster's address"),
        ("tcp://127.0.0.1", "no cluster's address"),
        ("tcp://127.0.0.1:port", "no cluster's address"),
    ],
)
def test_a_cluster_that_can_not_be_trusted_is_not_asked(
    address: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was asked")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(UserError, match=says), jobs.open(2, address):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
def test_this_machine_is_trusted(host: str) -> None:
    _cluster.trust(f"tcp://{host}:8786")


def test_a_cluster_without_dask_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install 'erc_demo\[cluster\]'"):
        _cluster.Cluster("tcp://127.0.0.1:8786")


def test_nobody_at_the_address_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(_cluster, "ANSWER", 0.5)
    with pytest.raises(UserError, match="No Dask scheduler answers at tcp://127.0.0.1:1;"):
        _cluster.Cluster("tcp://127.0.0.1:1")


def test_a_cluster_answers_like_processes(dask: errands.Scheduler) -> None:
    with jobs.open(1, dask.address) as there:
        calls = [(number, 1) for number in range(100)]
        assert list(there(errands.add, calls)) == list(range(1, 101))
        found = dict(there.each(errands.refuse_two, range(4)))
        assert isinstance(found.pop(2), ValueError)
        assert found == {0: 0, 1: 1, 3: 3}
        answers = there(errands.refuse_two, [(1,), (2,)])
        assert next(answers) == 1
        with pytest.raises(ValueError, match="two is refused"):
            next(answers)


def test_an_item_that_kills_a_worker_of_a_cluster_is_named(dask: errands.Scheduler) -> None:
    dask.hire()  # the item comes twice, and the others need one after it
    with _cluster.Cluster(dask.address) as there:
        errands.until(lambda: there.width() == 3, "three workers")
        found = dict(there.each(errands.die_of_three, range(8)))
    assert isinstance(found.pop(3), jobs.Died)
    assert found == {number: number**2 for number in (0, 1, 2, 4, 5, 6, 7)}


def test_workers_of_another_version_are_a_sentence(
    dask: errands.Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match="has erc_demo .*, here is 9"),
    ):
        patch.setattr(_cluster, "__version__", "9")
        _cluster.Cluster(dask.address)
    package = tmp_path / "erc_demo" / "__init__.py"
    package.parent.mkdir()
    package.write_text("raise ImportError('no erc_demo here')")
    dask.hire({"PYTHONPATH": str(tmp_path)})

    def refused() -> bool:
        try:
            with jobs.cluster(dask.address):
                return False  # it has not come yet
        except UserError as exc:
            return "can't import erc_demo (no erc_demo here)" in str(exc)

    errands.until(refused, "the sentence")


def test_a_scheduler_that_is_gone_is_a_sentence(dask: errands.Scheduler, tmp_path: Path) -> None:
    """The last test of the scheduler, which it ends."""
    stranger = dask.processes.pop()  # that has no erc_demo
    stranger.kill()
    stranger.wait()
    dask.hire()

    def connected() -> jobs.Jobs | None:
        try:
            return _cluster.Cluster(dask.address)
        except UserError:
            return None

    errands.until(lambda: (left := connected()) is not None and not left.__exit__(), "a cluster")
    with jobs.cluster(dask.address) as there:
        answers = there(errands.linger, [(tmp_path,)])
        errands.until(lambda: list(tmp_path.iterdir()), "a call")
        dask.processes[0].kill()
        with pytest.raises(UserError, match="is gone; start it and call again"):
            next(answers)
