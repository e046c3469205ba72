"""Recordings composed of clips: every clip, blind to labels, nobody met outside a circle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpora import composed
from sklearn.metrics import recall_score

from erc_demo.errors import UserError
from trainer import protocol
from trainer.datasets import Ask, Corpus, open_corpus, ravdess

ASK = Ask(labels=("ravdess8", "iemocap4"))
CIRCLES = """\
data = "ravdess:PLACE"
circles = 5
[[arrangement]]
name = "clip"
[[arrangement]]
name = "person"
turns = [60, 60]
[[arrangement]]
name = "pair"
people = 2
turns = [2, 40]
times = 2
"""


@pytest.fixture
def actors(shared: Callable[[str], Path], tmp_path: Path) -> Corpus:
    """Twenty actors in five circles."""
    file = tmp_path / "ravdess.toml"
    file.write_text(CIRCLES.replace("PLACE", str(shared("ravdess"))), encoding="utf-8")
    return open_corpus(f"composed:{file}", ASK)


def orders(corpus: Corpus) -> list[tuple[str, ...]]:
    return [one.ids for one in corpus.dialogues]


def test_every_arrangement_lays_every_clip(tmp_path: Path) -> None:
    corpus = open_corpus(f"composed:{composed.make(tmp_path)}", ASK)
    plain = open_corpus(f"ravdess:{tmp_path / 'clips'}", ASK)
    known = {one.ids[0]: one for one in plain.dialogues}
    laid = Counter((one.name.partition("/")[0], each.rpartition("/")[2])
                   for one in corpus.dialogues for each in one.ids)  # fmt: skip
    times = {"clip": 1, "person": 1, "pair": 2}
    assert laid == {(name, clip): count for name, count in times.items() for clip in known}
    for one in corpus.dialogues:
        name = one.name.partition("/")[0]
        people = len(set(one.people))
        assert people == 1 if name != "pair" else people <= 2
        assert len(one.ids) == 1 if name == "clip" else len(one.ids) <= (9 if people == 1 else 4)
        assert [turn.number for turn in one.dialogue.turns] == list(range(len(one.ids)))
        for at, each in enumerate(one.ids):
            clip = known[each.rpartition("/")[2]]
            assert one.clips[at] == clip.clips[0] and one.people[at] == clip.people[0]
            assert one.dialogue.turns[at].speaker == clip.dialogue.turns[0].speaker
            for name in ASK.labels:
                assert one.labels[name][at] == clip.labels[name][0]


def test_labels_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With emotions dealt out anew, in another order of the clips, the recordings are the same."""
    reference = f"composed:{composed.make(tmp_path)}"
    before = open_corpus(reference, ASK)
    find = ravdess.find

    def dealt(path: Path, ask: Ask) -> Corpus:
        found = find(path, ask)
        mixed = np.random.default_rng(1).permutation([one.labels["ravdess8"][0]
                                                      for one in found.dialogues])  # fmt: skip
        changed = [
            replace(one, labels={**one.labels, "ravdess8": np.array([label])})
            for one, label in zip(found.dialogues, mixed, strict=True)
        ]
        return replace(found, dialogues=tuple(changed[::-1]))

    monkeypatch.setattr(ravdess, "find", dealt)
    after = open_corpus(reference, ASK)
    assert orders(after) == orders(before)
    assert any((one.labels["ravdess8"] != other.labels["ravdess8"]).any()
               for one, other in zip(before.dialogues, after.dialogues, strict=True))  # fmt: skip


def test_variables_name_the_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(composed.make(tmp_path))
    first = open_corpus(f"composed:{file}", ASK)
    monkeypatch.setenv("ERC_TOYS", str(tmp_path))
    told = file.read_text().replace("ravdess:clips", "ravdess:$ERC_TOYS/clips")
    other = tmp_path / "elsewhere.toml"
    other.write_text(told, encoding="utf-8")
    assert orders(open_corpus(f"composed:{other}", ASK)) == orders(first)


def test_circles_may_be_parts(tmp_path: Path) -> None:
    file = Path(composed.make(tmp_path))
    told = file.read_text().replace("circles = 1", "circles = 2\nvalidation = 1")
    file.write_text(told, encoding="utf-8")
    corpus = open_corpus(f"composed:{file}", ASK)
    (fold,) = protocol.folds(corpus, "official")
    sides = [{name for one in corpus.of(these) for name in one.people}
             for these in (fold.train, fold.select)]  # fmt: skip
    assert [len(one) for one in sides] == [1, 1] and sides[0] != sides[1]
    assert len(fold.train) + len(fold.select) == len(corpus.dialogues)


def test_another_seed_is_another_order_of_the_same(tmp_path: Path) -> None:
    file = Path(composed.make(tmp_path))
    first = open_corpus(f"composed:{file}", ASK)
    assert orders(open_corpus(f"composed:{file}", ASK)) == orders(first)
    file.write_text("seed = 1\n" + file.read_text(), encoding="utf-8")
    assert orders(open_corpus(f"composed:{file}", ASK)) != orders(first)


def test_whoever_answers_stays_in_the_circle(actors: Corpus) -> None:
    met: dict[str, set[str]] = {}
    for one in actors.dialogues:
        for name in one.people:
            met.setdefault(name, set()).update(one.people)
    folds = protocol.folds(actors, "speakers:5")
    assert len(met) == 20 and len(folds) == 5
    for fold in folds:
        told = {name for one in actors.of(fold.report) for name in one.people}
        assert len(told) == 4 and all(met[name] <= told for name in told)


@pytest.mark.parametrize(("kind", "role"), [("person", "own"), ("pair", "own"), ("pair", "other")])
def test_what_was_felt_before_tells_nothing(actors: Corpus, kind: str, role: str) -> None:
    """The best guess from the label before, learned on half the recordings, on the other half."""
    pairs: list[list[tuple[int, int]]] = [[], []]
    for number, one in enumerate(one for one in actors.dialogues if one.name.startswith(kind)):
        labels = one.labels["ravdess8"]
        for at in range(1, len(labels)):
            if (one.people[at - 1] == one.people[at]) == (role == "own"):
                pairs[number % 2].append((labels[at - 1], labels[at]))
    counts = np.zeros((8, 8))
    np.add.at(counts, tuple(np.transpose(pairs[0])), 1)
    guess = (counts / counts.sum(axis=0)).argmax(axis=1)  # frequent labels are not favoured
    before, known = np.transpose(pairs[1])
    assert len(known) > 200
    # chance is 1 / 8, and its standard error 0.014 on 600 turns
    assert recall_score(known, guess[before], average="macro") < 1 / 8 + 0.05


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("seed = -1\n", "its seed is -1, and 0 or more was wanted"),
        ("seeds = 1\n", r"it has 'seeds' \(known: data, seed, circles, validation, arrangement\)"),
        ("circles = 2\nvalidation = 2\n", "gives 2 of 2 circles to validation"),
        ("circles = 3\n", "2 people can't make 3 circles; name 2 at most"),
    ],
)
def test_what_is_no_composition(tmp_path: Path, more: str, says: str) -> None:
    file = Path(composed.make(tmp_path))
    file.write_text(more + file.read_text().replace("circles = 1\n", ""), encoding="utf-8")
    with pytest.raises(UserError, match=says):
        open_corpus(f"composed:{file}", ASK)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ('name = "a/b"', "its name is 'a/b', and a word without / was wanted"),
        ('name = "a"\nturns = [3, 2]', "its turns are from 3 to 2"),
        ('name = "a"\nturns = 3', r"its turns are 3, and \[least, most\] was wanted"),
        ('name = "a"\npeople = 0\ntimes = 0', "its people is 0, .*; its times is 0"),
        ('name = "a"\nlength = 3', r"it has 'length' \(known: name, people, turns, times\)"),
        ('name = "clip"', "two arrangements clip"),
    ],
)
def test_what_is_no_arrangement(tmp_path: Path, told: str, says: str) -> None:
    file = Path(composed.make(tmp_path))
    file.write_text(f"{file.read_text()}[[arrangement]]\n{told}\n", encoding="utf-8")
    with pytest.raises(UserError, match=says):
        open_corpus(f"composed:{file}", ASK)


def test_conversations_are_no_clips(tmp_path: Path) -> None:
    from corpora import meld

    meld.make(tmp_path / "meld")
    (tmp_path / "of.toml").write_text(
        'data = "meld:meld"\n[[arrangement]]\nname = "clip"\n', encoding="utf-8"
    )
    with pytest.raises(UserError, match="is no corpus of clips"):
        open_corpus(f"composed:{tmp_path / 'of.toml'}", Ask(labels=("meld7",)))
