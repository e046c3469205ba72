"""One contract for every kind of corpus in the folder; the folder's listing is the list of cases.

A new corpus is one file and one miniature, and no edit here:

- ``trainer/datasets/KIND.py``: a docstring, the corpus's card, whose first line says what it is and
  which has ``What:``, ``Terms:`` and ``To obtain:``; ``find(path, ask) -> Corpus``, which opens no
  sound, counts in remarks what it did with untidy rows, and refuses by a ``UserError`` of one
  sentence: a folder that holds nothing of it (by the names of what it looked for), label sets,
  dimensions and columns that it has not.
- ``tests/corpora/KIND.py``: ``make(folder) -> path``, which writes a few generated dialogues in the
  corpus's own form, untidy rows among them, and returns what follows ``KIND:``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from erc_demo import features, plugs, recording
from erc_demo.emotions import DIMENSIONS, LABEL_SETS
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import datasets, extract
from trainer.__main__ import main
from trainer.datasets import Ask, Corpus, Item, Labelled, heard, listing, open_corpus, written

EACH = pytest.mark.parametrize("kind", datasets.names())
DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The reference of a kind's miniature."""

    @cache
    def made(kind: str) -> str:
        folder = tmp_path_factory.mktemp(kind) / "corpus"
        return f"{kind}:{importlib.import_module(f'corpora.{kind}').make(folder)}"

    return made


@pytest.fixture(autouse=True)
def _no_sound_is_opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "kind" in request.fixturenames:
        monkeypatch.setattr(recording, "read", lambda *_, **__: pytest.fail("sound was opened"))


def asks() -> Iterator[Ask]:
    """Each label set alone and each dimension alone."""
    yield from (Ask(labels=(name,)) for name in LABEL_SETS)
    yield from (Ask(dimensions=(name,)) for name in DIMENSIONS)


def sentence(text: str) -> bool:
    """One line that ends."""
    return "\n" not in text and text[0].isprintable() and text.rstrip(")").endswith((".", "?"))


@EACH
def test_its_docstring_is_a_card(kind: str) -> None:
    card = plugs.load(datasets.PACKAGE, kind).__doc__
    assert card.partition("\n")[0].endswith((".", ":"))
    for part in ("What:", "Terms:", "To obtain:", "PATH"):
        assert part in card, f"the card of {kind} lacks '{part}'"


@EACH
def test_its_miniature_is_read(kind: str, place: Callable[[str], str]) -> None:
    corpus = open_corpus(place(kind), Ask(), labelled=False)
    again = open_corpus(place(kind), Ask(), labelled=False)
    assert corpus.name == kind and corpus.dialogues
    assert corpus.sha256 == again.sha256, "two readings differ"
    assert all(sentence(one) for one in corpus.remarks), corpus.remarks
    for one in corpus.dialogues:
        assert one.dialogue.turns and not one.labels and one.values is None
        for path in filter(None, (one.sound, *one.clips)):
            assert path.is_absolute() and path.is_file()
        for text, these in one.given.items():
            assert features.parse(text).text == text == these.name
            made = features.ready(features.parse(text), Settings())
            assert (made.width, made.version) == (these.width, these.version)
    there = [one for one in corpus.dialogues if one.sound or any(one.clips) or one.given]
    words = [turn for one in corpus.dialogues for turn in one.dialogue.turns if turn.said]
    assert there or words, "nothing could be learned from it"


@EACH
def test_it_answers_what_it_has_and_refuses_the_rest(
    kind: str, place: Callable[[str], str]
) -> None:
    answered = 0
    for ask in asks():
        try:
            corpus = open_corpus(place(kind), ask)
        except UserError as exc:
            assert sentence(str(exc)), exc
            continue
        name = ask.labels[0] if ask.labels else ""
        for one in corpus.dialogues:
            if name:
                assert one.labels[name].dtype == np.int64
            else:
                known = one.values[~np.isnan(one.values)]
                assert (np.abs(known) <= 1).all()
        answered += any(one.labelled(name) for one in corpus.dialogues)
    if kind != "folder":
        assert answered, "it has neither a label nor a rating"


@EACH
def test_a_folder_of_something_else_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    with pytest.raises(UserError, match=r"notes|neither|no |None") as caught:
        open_corpus(f"{kind}:{tmp_path}", Ask(), labelled=False)
    assert sentence(str(caught.value)) and str(tmp_path) in str(caught.value)


@EACH
@pytest.mark.parametrize("flag", ["label", "text", "split"])
def test_a_column_that_is_not_there_is_refused(
    kind: str, flag: str, place: Callable[[str], str]
) -> None:
    labels = ("iemocap4",) if flag == "label" else ()
    ask = Ask(labels=labels, **{f"{flag}_column": "nobody's"})
    with pytest.raises(UserError, match=f"--{flag}-column") as caught:
        open_corpus(place(kind), ask, labelled=False)
    assert sentence(str(caught.value))


@EACH
def test_what_extract_walks_is_named_apart(kind: str, place: Callable[[str], str]) -> None:
    corpus = open_corpus(place(kind), Ask(), labelled=False)
    for sound in (True, False):
        items = listing(corpus, sound=sound).items
        assert len({item.name for item in items}) == len(items)
        assert all(item.dialogue is not None for item in items)
    assert len(listing(corpus, sound=False).items) == len(corpus.dialogues)


@EACH
def test_the_page_has_it(kind: str) -> None:
    page = (DOCS / "corpora.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{kind}` \|", page, re.MULTILINE)


# The noun's own.


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("turns.csv", "KIND:PATH was wanted"),
        ("iemo:x", "x does not exist"),
        ("nothing:.", "There is no 'nothing' in datasets; choose one of"),
    ],
)
def test_what_is_no_reference(reference: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        open_corpus(reference, Ask())


# What `extract` makes of it.


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))
    return Settings(data=tmp_path / "data", offline=True)


def opened(kind: str, folder: Path) -> Corpus:
    path = importlib.import_module(f"corpora.{kind}").make(folder)
    return open_corpus(f"{kind}:{path}", Ask(), labelled=False)


def test_a_clip_is_heard_whole(tmp_path: Path, settings: Settings) -> None:
    (one, *_) = opened("ravdess", tmp_path / "clips").dialogues
    (item,) = heard(one)
    spec = features.parse("logmel")
    dialogue, found = extract.made(item, [spec], settings)
    samples, rate = soundfile.read(item.sound, dtype="float32")
    assert dialogue.turns[0].span.end == pytest.approx(len(samples) / rate)
    wanted = features.extract(
        [spec],
        dialogue,
        recording.Recording(name="x", samples=samples[None], sha256="x"),
        settings,
    )["logmel"]
    np.testing.assert_allclose(found["logmel"].rows, wanted.rows, atol=1e-6)


def test_what_is_kept_is_not_made_again(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, *_) = opened("folder", tmp_path / "talks").dialogues
    (item,) = heard(one)
    spec = features.parse("logmel:speaker_norm=both")
    _, first = extract.made(item, [spec], settings)
    monkeypatch.setattr(recording, "read", lambda *_, **__: pytest.fail("decoded again"))
    _, second = extract.made(item, [spec], settings)
    np.testing.assert_array_equal(first[spec.text].rows, second[spec.text].rows)
    assert first[spec.text].width == 80


def test_words_alone_want_no_sound(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = opened("meld", tmp_path / "series")
    clips = [heard(one) for one in corpus.dialogues]
    assert [len(items) for items in clips] == [len(one.ids) for one in corpus.dialogues]
    assert [len(one.dialogue.turns) for one in corpus.dialogues] == [2, 1, 1, 2]
    assert written(corpus.dialogues[0]) == Item(
        name="train_dia0", dialogue=corpus.dialogues[0].dialogue
    )
    call = ["extract", "--data", f"meld:{tmp_path / 'series'}", "--features", "tokens", "logmel"]
    assert main([*call, "--remarks", "odd.csv"]) == 0
    said = capsys.readouterr().out
    assert "4 of 4 dialogues done" in said and "tokens: rows for 6 of 6 turns" in said
    assert "6 of 6 dialogues done" in said and "logmel: rows for 3 of 6 turns" in said
    assert said.count("note: Clips that are known to be broken") == 1
    assert "logmel,test_dia0_utt1,0,no sound" not in (tmp_path / "odd.csv").read_text()


def test_a_corpus_without_labels_can_be_predicted(tmp_path: Path) -> None:
    corpus = open_corpus(
        f"folder:{importlib.import_module('corpora.folder').make(tmp_path / 'talks')}",
        Ask(labels=("meld7",), dimensions=("valence",)),
        labelled=False,
    )
    one: Labelled = corpus.dialogues[0]
    assert one.labels["meld7"].tolist() == [-1, -1] and np.isnan(one.values).all()
    assert one.ids == ("one_0", "one_1") and one.people == ("", "")
    assert any("no transcript is beside the recording: mute" in said for said in corpus.remarks)
    with pytest.raises(UserError, match="has a label of meld7"):
        open_corpus(f"folder:{tmp_path / 'talks'}", Ask(labels=("meld7",)))
