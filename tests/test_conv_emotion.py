"""The field's feature pickles: what is read of them, and what a hostile one gets."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import avec as small_avec
from corpora import conv_emotion as small

from erc_demo.emotions import IEMOCAP4, IEMOCAP6, MELD7
from erc_demo.errors import UserError
from trainer.datasets import Ask, _unpickler, open_corpus
from trainer.protocol import folds

SIX = ("happy", "sad", "neutral", "angry", "excited", "frustrated")
SEVEN = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")


def read(stored: Any, folder: Path, *labels: str) -> Any:
    file = small.write(folder / "features.pkl", stored)
    return open_corpus(f"conv_emotion:{file}", Ask(labels=labels), labelled=False)


# ---- what the files hold


def test_iemocaps_file_is_read(tmp_path: Path) -> None:
    stored = small.parts()
    corpus = open_corpus(
        f"conv_emotion:{small.make(tmp_path)}", Ask(labels=("iemocap6", "iemocap4"))
    )
    assert [one.name for one in corpus.dialogues] == list(small.DIALOGUES)
    first = corpus.dialogues[0]
    assert first.ids == tuple(stored[0]["Ses01F_impro01"])
    assert [turn.text for turn in first.dialogue.turns] == stored[6]["Ses01F_impro01"]
    assert [turn.speaker for turn in first.dialogue.turns] == list("FMFMFMF")
    assert first.people[:2] == ("1 F", "1 M") and first.session == "1"
    assert [IEMOCAP6.labels[at] for at in first.labels["iemocap6"]] == [*SIX, "happy"]
    four = [IEMOCAP4.labels[at] if at >= 0 else None for at in first.labels["iemocap4"]]
    assert four == ["happy", "sad", "neutral", "angry", "happy", None, "happy"]
    assert [one.split for one in corpus.dialogues] == ["train", "train", "train", "test"]
    for text, part in (("text10", 3), ("acoustic6", 4), ("visual4", 5)):
        [name] = [one for one in first.given if text in one]
        assert name == f"given:name={text},width={text.lstrip('acexoutisvl')}"
        assert np.array_equal(first.given[name].rows, np.stack(stored[part]["Ses01F_impro01"]))


def test_melds_file_is_read(tmp_path: Path) -> None:
    stored = small.meld()
    corpus = read(stored, tmp_path, "meld7")
    assert [one.name for one in corpus.dialogues] == ["meld0", "meld1", "meld2", "meld3"]
    last = corpus.dialogues[3]
    assert [MELD7.labels[at] for at in last.labels["meld7"]] == [SEVEN[at] for at in stored[2][3]]
    assert [turn.speaker for turn in last.dialogue.turns][:3] == [f"speaker {n}" for n in (1, 2, 3)]
    assert last.people == ("",) * 4 and last.split == "test"
    assert np.allclose(last.given["given:name=acoustic6,width=6"].rows, stored[4][3])


def test_every_order_of_the_field_is_told_apart(tmp_path: Path) -> None:
    ids, speakers, labels, text, sound, sight, said, train, test, mood = small.meld()
    more = (text, text, text)
    base = read(small.meld(), tmp_path, "meld7").dialogues[1]
    for stored in (
        (ids, speakers, labels, text, sound, said, train, test, mood),
        (ids, speakers, labels, text, sound, sight, said, train, test),
        (ids, speakers, labels, text, *more, sound, sight, said, train, test),
        [ids, speakers, labels, text, *more, sound, sight, said, train, test, mood],
    ):
        found = read(stored, tmp_path, "meld7").dialogues[1]
        assert found.dialogue == base.dialogue and found.split == "train"
        assert found.labels["meld7"].tolist() == base.labels["meld7"].tolist()
        assert len(found.given) == len(stored) - 6 - (stored[-1] is mood)
        for name, features in base.given.items():
            if name in found.given:
                assert np.array_equal(found.given[name].rows, features.rows)


def test_an_order_that_is_not_known_is_refused_with_what_was_found(tmp_path: Path) -> None:
    parts = small.parts()
    with pytest.raises(UserError, match=r"9 parts \(words, words, rows, numbers, .*fit none"):
        read((*parts[:2], parts[3], parts[2], *parts[4:]), tmp_path)
    with pytest.raises(UserError, match="holds a dict; a tuple of parts was wanted"):
        read({"text": parts[3]}, tmp_path)


def test_another_corpus_is_refused(tmp_path: Path) -> None:
    parts = list(small.parts())
    parts[1] = {name: ["Ross"] * len(these) for name, these in parts[1].items()}
    with pytest.raises(UserError, match=r"has the speakers Ross; F and M \(IEMOCAP\)"):
        read(parts, tmp_path)
    parts = list(small.parts())
    parts[2]["Ses01F_impro01"][0] = 6
    with pytest.raises(UserError, match="none of 0 to 5 .*another corpus"):
        read(parts, tmp_path)


def test_dialogues_that_do_not_fit_are_left_out_and_counted(tmp_path: Path) -> None:
    parts = list(small.parts())
    parts[6]["Ses01M_impro02"].pop()
    parts[4]["Ses05M_impro01"].pop()
    parts[5]["Ses01F_impro01"][2][0] = np.nan
    corpus = read(parts, tmp_path, "iemocap6")
    assert "Ses01M_impro02" not in [one.name for one in corpus.dialogues]
    assert any("left out: 1 (Ses01M_impro02)" in one for one in corpus.remarks)
    last = corpus.dialogues[-1]
    assert not last.given["given:name=acoustic6,width=6"].present.any()
    assert last.given["given:name=visual4,width=4"].present.all()
    assert any("one row of audio a turn; none: 1 (Ses05M_impro01)" in x for x in corpus.remarks)
    sight = corpus.dialogues[0].given["given:name=visual4,width=4"]
    assert sight.rows[2, 0] == 0 and [str(one) for one in sight.remarks] == [
        "Turn 2 has numbers that are not defined for it; 0 stands for them."
    ]


def test_names_that_occur_twice_give_way_to_places(tmp_path: Path) -> None:
    parts = list(small.meld())
    parts[0] = {key: [f"utt{at}" for at in range(len(these))] for key, these in parts[0].items()}
    corpus = read(parts, tmp_path, "meld7")
    assert corpus.dialogues[1].ids[:2] == ("meld1_000", "meld1_001")
    assert any("numbered" in one for one in corpus.remarks)


def test_words_of_python_2_are_mended(tmp_path: Path) -> None:
    parts = list(small.parts())
    said = parts[6]["Ses01M_impro02"]
    said[:4] = ["don’t".encode(), "don’t".encode().decode("latin1"), "don\x92t", "don’t"]
    found = read(parts, tmp_path, "iemocap6").dialogues[1]
    assert [turn.text for turn in found.dialogue.turns[:4]] == ["don’t"] * 4


def test_selection_must_be_cut_from_training(tmp_path: Path) -> None:
    corpus = open_corpus(f"conv_emotion:{small.make(tmp_path)}", Ask(labels=("iemocap6",)))
    assert any("chooses on test" in one for one in corpus.remarks)
    with pytest.raises(UserError, match="no dialogue for selection"):
        folds(corpus, "official")
    [fold] = folds(corpus, "official", select_from="train:1")
    assert len(fold.train) == 2 and len(fold.select) == 1


def test_a_dialogue_on_both_sides_is_refused(tmp_path: Path) -> None:
    parts = list(small.parts())
    parts[8] = parts[7]
    with pytest.raises(UserError, match="in training and in test"):
        read(parts, tmp_path)


def test_a_folder_is_its_one_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.pkl; .*declare-lab/conv-emotion"):
        open_corpus(f"conv_emotion:{tmp_path}", Ask())
    small.make(tmp_path)
    small.write(tmp_path / "MELD_features_raw1.pkl", small.meld())
    with pytest.raises(UserError, match="IEMOCAP_features_raw.pkl, MELD_features_raw1.pkl; name"):
        open_corpus(f"conv_emotion:{tmp_path}", Ask())


def test_avecs_files_are_handed_on(tmp_path: Path) -> None:
    ask = Ask(dimensions=("power",))
    folder = small_avec.make(tmp_path)
    found = open_corpus(f"conv_emotion:{folder}", ask, labelled=False)
    assert found.sha256 == open_corpus(f"avec:{folder}", ask, labelled=False).sha256


# ---- the unpickler


PLAIN = (
    {"a": [np.arange(6, dtype="f4").reshape(2, 3), np.float64(2.5), np.int32(-3)], 3: ("x", True)},
    {"u", "v"},
    [b"\xff\x00", b"", "ünï", None, False, -5, 2**62, -(2**63), -(2**40), 1.5, 70_000, 300, ()],
    [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.zeros((0, 4)), np.array([True, False])],
    [np.array(["aä", "b"]), np.array([b"x"]), np.arange(3, dtype=">f4"), np.float32(0.1)],
)


def same(one: Any, other: Any) -> bool:
    """Equal, arrays within."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one.dtype.newbyteorder("=") == other.dtype.newbyteorder("=") and np.array_equal(
            one, other
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and all(map(same, one, other)) and len(one) == len(other)
    return bool(one == other)


def taken(tmp_path: Path, content: bytes) -> Any:
    file = tmp_path / "some.pkl"
    file.write_bytes(content)
    return _unpickler.read(file)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_are_read_as_python_reads_them(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps(PLAIN, protocol)
    assert same(taken(tmp_path, content), pickle.loads(content))


def test_an_array_that_stands_at_two_places_is_one(tmp_path: Path) -> None:
    array = np.arange(3.0)
    one, other = taken(tmp_path, pickle.dumps([array, array], 2))
    assert one is other and one.tolist() == [0.0, 1.0, 2.0]


def test_an_array_of_python_2_is_read(tmp_path: Path) -> None:
    content = (
        b"(lp0\ncnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntp3\nS'b'\n"
        b"p4\ntp5\nRp6\n(I1\n(I2\ntp7\ncnumpy\ndtype\np8\n(S'f8'\np9\nI0\nI1\ntp10\nRp11\n(I3\n"
        b"S'<'\np12\nNNNI-1\nI-1\nI0\ntp13\nbI00\n"
        b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00\\x00\\x00\\x00\\x00\\x00\\x04\\xc0'\np14\n"
        b'tp15\nbaS"it\'s"\np16\naV\\u00fcber\np17\na.'
    )
    array, said, over = taken(tmp_path, content)
    assert array.tolist() == [1.0, -2.5] and (said, over) == ("it's", "über")


class Evil:
    """What asks to be made by calling something."""

    def __init__(self, function: Any, *given: Any) -> None:
        self.asked = (function, given)

    def __reduce__(self) -> Any:
        return self.asked


class Stateful:
    """What runs when its state is set."""

    def __setstate__(self, state: Any) -> None:
        Path(state).touch()

    def __getstate__(self) -> str:
        return RAN[0]


RAN = [""]  # the file that a payload would leave


def hostile() -> dict[str, Callable[[str], Any]]:
    """Payloads by what they try."""
    evil = lambda ran: Evil(os.system, f"touch {ran}")  # noqa: E731
    return {
        "a command": evil,
        "eval": lambda ran: Evil(eval, f"open({ran!r}, 'w')"),
        "exec": lambda ran: Evil(exec, f"open({ran!r}, 'w')"),
        "open": lambda ran: Evil(open, ran, "w"),
        "getattr": lambda ran: Evil(getattr, Evil(__import__, "os"), "system"),
        "deep inside": lambda ran: ({"a": [({"b": evil(ran)},)]},),
        "as a key": lambda ran: {evil(ran): 1},
        "an object with a state": lambda ran: Stateful(),
        "a class": lambda ran: Stateful,
        "an array of objects": lambda ran: np.array([evil(ran), None], dtype=object),
        "a scalar of objects": lambda ran: Evil(np.dtype, "O", False, True),
        "an array of records": lambda ran: np.zeros(2, dtype=[("a", "f4")]),
        "a file of numpy": lambda ran: Evil(np.fromfile, ran),
        "numpy's own pickles": lambda ran: Evil(np.load, ran, None, True),
        "a set of what hashes": lambda ran: Evil(set, [evil(ran)]),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("tries", hostile())
def test_hostile_pickles_are_refused_and_not_run(tmp_path: Path, tries: str, protocol: int) -> None:
    ran = tmp_path / "ran"
    RAN[0] = str(ran)
    content = pickle.dumps(hostile()[tries](str(ran)), protocol)
    with pytest.raises(UserError, match="nothing in it was run"):
        taken(tmp_path, content)
    assert not ran.exists()


def test_the_function_that_was_asked_for_is_named(tmp_path: Path) -> None:
    content = pickle.dumps(Evil(os.system, "true"))
    with pytest.raises(UserError, match=rf"asks for '{os.system.__module__}\.system'"):
        taken(tmp_path, content)
    small.write(tmp_path / "x.pkl", (*small.parts()[:8], Evil(os.system, "true")))
    with pytest.raises(UserError, match="asks for"):
        open_corpus(f"conv_emotion:{tmp_path / 'x.pkl'}", Ask())


DTYPE = b"cnumpy\ndtype\n(X\x02\0\0\0f8I0\nI1\ntR"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
STATE = b"(I3\nU\x01<NNNI-1\nI-1\nI0\ntb"
MANY = 200_000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x8e" + struct.pack("<Q", 2**60) + b"x.", "declares more than it holds"),
        (b"T\xff\xff\xff\x7fx.", "declares more than it holds"),
        (b"T\xff\xff\xff\xff.", "declares more than it holds"),
        (ARRAY + b"(I1\n(L1000000000000L\nt" + DTYPE + STATE + b"I00\nU\x08" + b"\0" * 8 + b"tb.",
         "declares 1,000,000,000,000 numbers in 8 bytes"),
        (ARRAY + b"(I1\n(I-8\nt" + DTYPE + STATE + b"I00\nU\0tb.", "an array of no size"),
        (ARRAY + b"(I1\n(I1\nt" + DTYPE + STATE + b"I00\n(lI1\natb.", "array of Python objects"),
        (b"cnumpy\ndtype\n(U\x07<m8,<O8tR.", "an array of no numbers"),
        (b"cnumpy\nndarray\n(I9\ntR.", "calls ndarray"),
        (b"cnumpy\nndarray\n}U\x01aI1\nsb.", "gives a _Named a state"),
        (b"]}U\x01aI1\nsb.", "gives a list a state"),
        (b"}(I1\nI2\ne.", "fills a dict like a list"),
        (b"I1\nI2\na.", "fills a int like a list"),
        (b"P123\n.", "has the opcode 0x50"),
        (b"\x82\x01.", "has the opcode 0x82"),
        (b"\x80\x09.", "protocol after 5"),
        (b"\x80\x04)\x81.", "makes an object"),
        (b"(ios\nsystem\n.", "makes an object"),
        (b"))" + b"\x86q\x00h\x00" * 60 + b"}q\x01h\x00I1\ns.", "a tuple where a name"),
        (b"\x80\x02X" + struct.pack("<I", MANY) + b"a" * MANY + b"q\x00"
         + b"c_codecs\nencode\nq\x01" + b"h\x01h\x00X\x06\0\0\0latin1\x86R" * 99 + b".",
         "far more numbers than its size"),
        (b"", "is cut off"),
        (pickle.dumps(2**64, 0), "more than 64 bits"),
        (pickle.dumps(2**64, 2), "more than 64 bits"),
        (b"c_codecs\nencode\n(U\x01aU\x05rot13tR.", "calls encode"),
        (pickle.dumps(np.array(["a"]), 2).replace(b"a\0\0\0", b"a\0\0\x7f"), "letters that there"),
        (b"h\x07.", "is broken"),
        (b"e.", "is broken"),
        (b".", "is broken"),
    ],
)  # fmt: skip
def test_broken_pickles_and_bombs_are_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(UserError, match=why):
        taken(tmp_path, content)


def test_a_place_far_off_in_the_memo_costs_nothing(tmp_path: Path) -> None:
    assert taken(tmp_path, b"I5\nr\xff\xff\xff\xff.") == 5


def test_nesting_costs_no_stack(tmp_path: Path) -> None:
    (tmp_path / "deep.pkl").write_bytes(b"]" * MANY + b"a" * (MANY - 1) + b".")
    with pytest.raises(UserError, match="fit none of the orders"):
        open_corpus(f"conv_emotion:{tmp_path / 'deep.pkl'}", Ask())


def test_a_file_that_says_the_same_over_and_over_fills_no_memory(tmp_path: Path) -> None:
    parts = list(small.parts())
    row = [0.5] * 10_000
    for key, these in parts[3].items():
        parts[3][key] = [row] * len(these)
    with pytest.raises(UserError, match="more numbers or words than bytes"):
        read(parts, tmp_path)
    turns = [0] * 10_000
    parts[2] = dict.fromkeys(range(200), turns)
    with pytest.raises(UserError, match="more than 1,000,000 turns"):
        read(parts, tmp_path)


def test_a_file_too_large_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_unpickler, "LARGEST", 3)
    with pytest.raises(UserError, match="larger than"):
        taken(tmp_path, b"I12\n.")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps(PLAIN, protocol)
    for end in range(0, len(content) - 1, 7):
        with pytest.raises(UserError):
            taken(tmp_path, content[:end])


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_changed_bytes_give_a_value_or_a_refusal(tmp_path: Path, protocol: int) -> None:
    chance = np.random.default_rng(protocol)
    content = np.frombuffer(pickle.dumps(PLAIN, protocol), np.uint8)
    refused = 0
    for _ in range(300):
        changed = content.copy()
        changed[chance.integers(len(content), size=3)] = chance.integers(256, size=3)
        try:
            taken(tmp_path, changed.tobytes())
        except UserError:
            refused += 1
    assert refused > 50
