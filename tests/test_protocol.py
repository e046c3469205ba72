"""Who may see what: folds cover, never overlap, and what would leak is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import toy_corpus
from hypothesis import given
from hypothesis import strategies as st

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.errors import UserError
from trainer import protocol
from trainer.datasets import Ask, Corpus, Labelled, open_corpus

ASK = Ask(labels=("iemocap4",))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return open_corpus(toy_corpus.write(tmp_path / "toy"), ASK)


def talk(name: str, people: str, *, split: str = "", session: str = "", label: int = 0) -> Labelled:
    turns = tuple(Turn(number=at, speaker=one) for at, one in enumerate(people))
    return Labelled(
        dialogue=Dialogue(name=name, turns=turns),
        ids=tuple(f"{name}_{at}" for at in range(len(people))),
        people=tuple(people),
        labels={"iemocap4": np.full(len(people), label)},
        split=split,
        session=session,
    )


def made(*dialogues: Labelled, ask: Ask = ASK) -> Corpus:
    return Corpus(name="made", ask=ask, dialogues=dialogues)


def test_the_official_split_selects_on_validation_and_reports_nothing(corpus: Corpus) -> None:
    (fold,) = protocol.folds(corpus, "official")
    assert fold.select == ("s3d0", "s3d1", "s3d2") and fold.report == ()
    assert fold.train == tuple(f"s{one}d{two}" for one in (1, 2) for two in range(3))


def test_dialogues_cut_from_training_make_validation_a_result(corpus: Corpus) -> None:
    (fold,) = protocol.folds(corpus, "official", "train:2")
    assert len(fold.select) == 2 and len(fold.train) == 4
    assert fold.report == ("s3d0", "s3d1", "s3d2")
    assert set(fold.select) | set(fold.train) == {f"s{a}d{b}" for a in (1, 2) for b in range(3)}
    assert protocol.folds(corpus, "official", "train:2") == (fold,)
    assert "people" in fold.remarks[0]  # the two sessions' people are on both sides


def test_each_session_is_reported_once_and_another_selects(corpus: Corpus) -> None:
    folds = protocol.folds(corpus, "loso")
    assert [one.name for one in folds] == ["session1", "session2", "session3", "session4"]
    reported = [name for one in folds for name in one.report]
    assert sorted(reported) == sorted(one.name for one in corpus.dialogues)
    for at, fold in enumerate(folds):
        following = folds[(at + 1) % 4]
        assert fold.select == following.report
        assert len(fold.train) == 6


@pytest.mark.parametrize("plan", ["official", "loso", "speakers:3"])
def test_what_is_only_taught_is_in_training_of_every_fold(corpus: Corpus, plan: str) -> None:
    beside = [replace(talk(f"taught{at}", "XY", split="train"), taught=True) for at in range(9)]
    whole = replace(corpus, dialogues=(*beside, *corpus.dialogues))
    cut = "train:2" if plan == "official" else "validation"
    names = {one.name for one in beside}
    for fold, plain in zip(
        protocol.folds(whole, plan, cut), protocol.folds(corpus, plan, cut), strict=True
    ):
        assert names <= set(fold.train) and set(fold.train) - names == set(plain.train)
        assert (fold.select, fold.report) == (plain.select, plain.report)


def test_a_session_without_labels_is_nobodys(tmp_path: Path) -> None:
    corpus = open_corpus(toy_corpus.write(tmp_path / "toy", sessions=5), ASK)
    silent = tuple(
        replace(one, labels={"iemocap4": np.full(len(one.ids), -1)}) if one.session == "5" else one
        for one in corpus.dialogues
    )
    folds = protocol.folds(replace(corpus, dialogues=silent), "loso")
    names = {name for fold in folds for name in (*fold.train, *fold.select, *fold.report)}
    assert len(folds) == 4 and not any(name.startswith("s5") for name in names)


@given(st.integers(3, 5), st.integers(0, 3), st.data())
def test_folds_of_people_never_share_one(count: int, seed: int, data: st.DataObject) -> None:
    pairs = data.draw(
        st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=2), min_size=40)
    )
    corpus = made(*(talk(f"d{at}", pair) for at, pair in enumerate(pairs)))
    try:
        folds = protocol.folds(corpus, f"speakers:{count}", seed=seed)
    except UserError as exc:
        assert "circles of people" in str(exc)
        return
    who = {one.name: set(one.people) for one in corpus.dialogues}
    for fold in folds:
        sides = [set().union(*(who[name] for name in side)) for side in
                 (fold.train, fold.select, fold.report)]  # fmt: skip
        assert not any(one & other for one, other in combinations(sides, 2))
    reported = [name for fold in folds for name in fold.report]
    assert sorted(reported) == sorted(who)


def test_people_whose_names_are_not_known_are_their_dialogues_own() -> None:
    unnamed = [replace(talk(f"d{at}", "AB"), people=("", "")) for at in range(6)]
    folds = protocol.folds(made(*unnamed), "speakers:3")
    assert [len(one.report) for one in folds] == [2, 2, 2]


def test_a_person_in_training_and_test_is_refused_unless_that_was_published() -> None:
    leaky = (
        talk("one", "ab", split="train"),
        talk("two", "cd", split="validation"),
        talk("three", "ae", split="test"),
    )
    with pytest.raises(UserError, match=r"1 people \(a\) are in training and in test"):
        protocol.folds(made(*leaky), "official")
    published = replace(made(*leaky), shared_speakers="as its makers split it")
    assert protocol.folds(published, "official")
    accepted = made(*leaky, ask=replace(ASK, shared_speakers=True))
    assert protocol.folds(accepted, "official")


def test_a_person_in_two_sessions_is_refused() -> None:
    talks = [talk(str(at), who, session=str(at)) for at, who in enumerate(("ab", "cd", "ae", "fg"))]
    with pytest.raises(UserError, match="a would be in"):
        protocol.folds(made(*talks), "loso")


@pytest.mark.parametrize(
    ("asked", "select_from", "said"),
    [
        ("random", "validation", "There is no protocol 'random'"),
        ("speakers:2", "validation", "K = 3 or more"),
        ("speakers:9", "validation", "name fewer folds"),
        ("loso", "train:2", "has a part of its own"),
        ("official", "train:0", "train:N with N dialogues"),
        ("official", "train:6", "name fewer"),
        ("official", "test", "--select-from is 'test'"),
    ],
)
def test_what_can_not_be_cut_is_said(
    corpus: Corpus, asked: str, select_from: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        protocol.folds(corpus, asked, select_from)


def test_a_corpus_without_split_or_sessions_says_what_else_there_is() -> None:
    corpus = made(*(talk(str(at), "ab") for at in range(3)))
    with pytest.raises(UserError, match="--split-column, or use --protocol loso"):
        protocol.folds(corpus, "official")
    with pytest.raises(UserError, match="wants three sessions"):
        protocol.folds(corpus, "loso")


def test_a_dialogue_lies_on_one_side() -> None:
    with pytest.raises(UserError, match="both in 'train' and in 'report'"):
        protocol.Fold(name="one", train=("a", "b"), select=("c",), report=("b",))


def test_as_published_cuts_the_same_folds(corpus: Corpus) -> None:
    assert protocol.folds(corpus, "as-published:loso") == protocol.folds(corpus, "loso")
    assert protocol.published("as-published") == ("official", True)
