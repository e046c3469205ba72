"""What is said, in numbers: sentence, words and tokens, against literal referees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders
from spoken import SETTINGS, extractor, heard, said

from erc_demo import features
from erc_demo.dialogue import Dialogue, Turn
from erc_demo.errors import UserError
from erc_demo.features import _encoders, sentence, tokens, words
from erc_demo.features._subwords import Subwords, owners, windows

ODD = ("…", "\u200b", "😀", "'", "?!", "\u0001", "東京", "don't")
LONG = "the cat sat on a mat you do not know"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny encoder, made once."""
    root = tmp_path_factory.mktemp("encoders")

    def make(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else getattr(tiny_encoders, name)(folder)

    return make


def states(folder: Path, text: str, layer: int = -1) -> tuple[np.ndarray, Any]:
    """One forward pass of one text by transformers' own tokenizer and model."""
    import torch
    from transformers import AutoModel, PreTrainedTokenizerFast

    cut = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    given = cut(text, return_tensors="pt", return_offsets_mapping=True, truncation=False)
    spans = given.pop("offset_mapping")[0].numpy()
    given.pop("token_type_ids", None)
    with torch.inference_mode():
        model = AutoModel.from_pretrained(folder).eval()
        model = model.encoder if hasattr(model, "decoder") else model
        answer = model(**given, output_hidden_states=True)
    return answer.hidden_states[layer][0].numpy(), spans


# sentence


REFERENCE = Path(__file__).parent / "golden" / "features" / "minilm_reference.json"


def test_minilm_gives_the_vectors_that_sentence_transformers_gave() -> None:
    """Stored vectors of that program, whose version and libraries the file names."""
    ours = extractor(sentence)
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))["rows"]
    assert len(reference) == 3
    for text, wanted in reference.items():
        (found,) = ours.rows([said(text)])
        np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_minilm_gives_the_vectors_of_sentence_transformers() -> None:
    theirs = pytest.importorskip("sentence_transformers")
    ours = extractor(sentence)
    texts = ["No.", "Oh. That's … great, I guess? 🙂", "I can't believe it! " * 20, "LISTEN to me"]
    folder = _encoders.find("minilm", SETTINGS, kind="words")
    wanted = theirs.SentenceTransformer(str(folder), device="cpu").encode(texts)
    found = np.concatenate(ours.rows([said(text) for text in texts]))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    plain = extractor(sentence, unit="no").rows([said(texts[0])])[0]
    np.testing.assert_allclose(plain / np.linalg.norm(plain), wanted[:1], atol=1e-5)
    assert np.linalg.norm(plain) > 1.5
    words_only = heard(*texts[1].split())
    np.testing.assert_allclose(ours.rows([words_only])[0], wanted[1:2], atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "t5"])
def test_a_sentence_is_the_mean_of_a_layer(made: Callable[[str], Path], name: str) -> None:
    folder = made(name)
    for layer in (-1, 1, 0):
        found = extractor(sentence, encoder=str(folder), layer=layer).rows([said("you do not")])
        wanted = states(folder, "you do not", layer)[0].mean(axis=0)
        np.testing.assert_allclose(found[0][0], wanted, atol=1e-5)


def test_a_long_sentence_is_read_to_its_end(made: Callable[[str], Path]) -> None:
    """The mean over windows of 22 tokens between [CLS] and [SEP], each window run by itself."""
    import torch

    folder = made("bert")
    ours = extractor(sentence, encoder=str(folder))
    text = " ".join([LONG] * 5)  # 50 tokens
    cut = Subwords(folder, "tiny")
    assert cut.most == tiny_encoders.POSITIONS
    ids, model = cut.cut(text).ids, _encoders.load(str(folder), SETTINGS, kind="words").model
    kept = []
    for begin, end, first, last in windows(len(ids), 22):
        given = torch.tensor([[2, *ids[begin:end], 3]])
        with torch.inference_mode():
            state = model(given).last_hidden_state[0].numpy()
        kept += [state[0], *state[1 + first - begin : 1 + last - begin], state[-1]]
    assert len(kept) == 50 + 2 * 3
    found = ours.rows([said(text)])[0][0]
    np.testing.assert_allclose(found, np.mean(kept, axis=0), atol=1e-5)
    ended = ours.rows([said(text.removesuffix("know") + "cat")])[0][0]
    assert np.abs(found - ended).max() > 1e-3


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 13, 14, 15, 100])
def test_windows_keep_each_token_once_with_something_on_either_side(count: int) -> None:
    room = 8
    found = windows(count, room)
    assert [place for *_, first, last in found for place in range(first, last)] == [*range(count)]
    for begin, end, first, last in found:
        assert 0 <= begin <= first <= last <= end <= count and end - begin <= room
        assert begin == 0 or first - begin >= 1
        assert end == count or end - last >= 1
    assert len(found) <= 1 + max(0, -(-(count - room) // 6))


def test_neither_padding_nor_windows_change_a_row(made: Callable[[str], Path]) -> None:
    """Beside the contract: texts of many windows, and RoBERTa, whose positions count no padding."""
    mixed = [said("no"), said(" ".join([LONG] * 7)), said("the cat"), heard(*ODD), said(LONG)]
    for module in (sentence, words):
        for name in ("bert", "roberta"):
            ours = extractor(module, encoder=str(made(name)))
            for one, rows in zip(mixed, ours.rows(mixed), strict=True):
                np.testing.assert_allclose(rows, ours.rows([one])[0], atol=1e-5)


def test_many_long_turns_are_read_a_batch_at_a_time(
    made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = extractor(words, encoder=str(made("bert")))
    seen = []
    run = ours._reader._states
    monkeypatch.setattr(
        ours._reader, "_states", lambda given: seen.append(sum(map(len, given))) or run(given)
    )
    (rows,) = ours.rows([said(" ".join([LONG] * 600))])
    assert len(rows) == 6000 and max(seen) <= 4096 and len(seen) > 1


# words


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_word_is_the_mean_of_its_pieces(made: Callable[[str], Path], name: str) -> None:
    folder, said_words = made(name), ("the", "cats", "sat", "…", "on", "it.")
    (found,) = extractor(words, encoder=str(folder)).rows([heard(*said_words)])
    state, spans = states(folder, " ".join(said_words))
    begin, wanted = 0, []
    for word in said_words:
        mine = [
            index
            for index, (first, last) in enumerate(spans)
            if last > first and begin <= last - 1 < begin + len(word)
        ]
        assert mine
        wanted.append(state[mine].mean(axis=0))
        begin += len(word) + 1
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_pieces_are_those_of_words_tokenised_one_by_one(made: Callable[[str], Path]) -> None:
    """For BERT's kind a text in one string and in words is cut alike, word numbers too."""
    from tokenizers import Tokenizer

    folder = made("bert")
    said_words = ["the", "cats!", "don't", "…", "\u200b", "know", "[SEP]"]
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    theirs.encode_special_tokens = True
    wanted = theirs.encode(said_words, is_pretokenized=True, add_special_tokens=False)
    pieces = Subwords(folder, "tiny").cut(" ".join(said_words))
    assert pieces.ids.tolist() == wanted.ids
    assert owners(pieces.spans, said_words).tolist() == wanted.word_ids


def test_a_piece_belongs_to_the_word_of_its_last_character() -> None:
    spans = np.array([[0, 3], [3, 7], [3, 4], [7, 9], [9, 10], [10, 10]])  # "the cats x"
    assert owners(spans, ["the", "cats", "x"]).tolist() == [0, 1, -1, 1, 2, -1]


@pytest.mark.parametrize("name", ["bert", "roberta", "minilm"])
def test_every_word_has_a_row(made: Callable[[str], Path], name: str) -> None:
    ours = extractor(words, encoder=name if name == "minilm" else str(made(name)))
    for spoken in (ODD, ("\u200b",), ("\u0001", "\u0001"), ("the", "\u200b", "cat")):
        (rows,) = ours.rows([heard(*spoken)])
        assert rows.shape == (len(spoken), ours.width) and np.isfinite(rows).all()
        assert (np.abs(rows).max(axis=1) > 0).all()
    if name != "roberta":  # to bytes nothing is nothing
        np.testing.assert_allclose(rows[1], rows[[0, 2]].mean(axis=0), atol=1e-5)


def test_the_same_word_differs_by_what_stands_around_it() -> None:
    ours = extractor(words)
    river, money, again = ours.rows(
        [said("the bank of the river"), said("the bank lent money"), said("the bank lent money")]
    )
    assert np.abs(river[1] - money[1]).max() > 0.1
    np.testing.assert_allclose(money, again, atol=1e-6)


def test_a_layer_that_is_not_there_is_refused(made: Callable[[str], Path]) -> None:
    for layer in (3, -4):
        with pytest.raises(UserError, match=rf"Layer {layer} was asked for; .* to 2"):
            extractor(words, encoder=str(made("bert")), layer=layer)


# tokens


def texts_of(rows: np.ndarray, folder: Path) -> list[str]:
    from tokenizers import Tokenizer

    cut = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [cut.id_to_token(number) for number in rows[:, 0]]


def test_the_papers_own_example(made: Callable[[str], Path]) -> None:
    """DialogueTRM, Table 1: x7 of speaker 1, K = 5 sees x2 and x4 of its own, not x1."""
    folder = made("bert")
    speakers, saying = (1, 1, 2, 1, 3, 2, 1, 2), "the cat sat on a mat you do".split()
    turns = tuple(
        Turn(number=number, speaker=str(speaker), text=text)
        for number, (speaker, text) in enumerate(zip(speakers, saying, strict=True), 1)
    )
    wish = f"tokens:context=5,encoder={folder}"
    found = features.extract([wish], Dialogue(name="x", turns=turns), None, SETTINGS)
    (rows,) = (one.of(6) for one in found.values())
    assert texts_of(rows, folder) == ["[CLS]", "you", "[SEP]", "cat", "on", "[SEP]"]
    assert rows.T[1:].tolist() == [[0, 0, 0, 1, 1, 1], [-1, 0, -1, -1, -1, -1]]
    first = next(iter(found.values())).of(0)
    assert texts_of(first, folder) == ["[CLS]", "the", "[SEP]"]
    assert extractor(tokens, encoder=str(folder), context=14).context == 14


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_two_parts_are_put_together_as_the_tokenizer_does(
    made: Callable[[str], Path], name: str
) -> None:
    from transformers import PreTrainedTokenizerFast

    folder = made(name)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    ours = extractor(tokens, encoder=str(folder), context=2)
    before = (("A", "cut"), ("B", "not me"), ("A", "a mat"))
    (rows,) = ours.rows([said("the cat", before=before)])
    wanted = theirs("the cat", "a mat", truncation=False, return_token_type_ids=True)
    assert rows[:, 0].tolist() == wanted["input_ids"] and rows.dtype == np.int32
    if name == "bert":
        assert rows[:, 1].tolist() == wanted["token_type_ids"]
    else:
        assert texts_of(rows, folder).count("</s>") == 3
    (alone,) = ours.rows([said("the cat", speaker="C", before=before)])
    assert alone[:, 0].tolist() == theirs("the cat", truncation=False)["input_ids"]
    assert not alone[:, 1].any()


def test_the_oldest_context_goes_first_and_the_utterance_last(made: Callable[[str], Path]) -> None:
    folder = made("bert")
    before = (("A", "the cat sat"), ("A", "on a mat"))

    def read(text: str, most: int) -> tuple[list[str], np.ndarray]:
        ours = extractor(tokens, encoder=str(folder), context=2, most=most)
        (rows,) = ours.rows([said(text, before=before)])
        assert len(rows) <= most
        return texts_of(rows, folder), rows

    assert read("you know", 10)[0][4:] == ["cat", "sat", "on", "a", "mat", "[SEP]"]
    found, rows = read("you do not know a cat on the mat", 8)
    assert found == ["[CLS]", "you", "do", "not", "know", "a", "cat", "[SEP]"]
    assert rows[:, 2].tolist() == [-1, 0, 1, 2, 3, 4, 5, -1]
    for count in range(1, 30):  # around every edge
        text = " ".join(["cats"] * count)
        found, rows = read(text, 16)
        own = rows[rows[:, 2] >= 0]
        assert len(own) == min(2 * count, 14)
        context = found[2 + len(own) : -1] if rows[:, 1].any() else []
        whole = ["the", "cat", "sat", "on", "a", "mat"]
        assert context == whole[6 - len(context) :]
        assert len(context) == max(0, min(6, 16 - 3 - len(own)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"most": 25}, "most of tokens is 25; .* reads up to 24"),
        ({"most": 3}, "most of tokens is 3"),
        ({"context": -1}, "context of tokens is -1"),
    ],
)
def test_odd_wishes_for_tokens(
    made: Callable[[str], Path], options: dict[str, int], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        extractor(tokens, encoder=str(made("bert")), **options)


def test_tokens_need_no_weights(made: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(made("roberta") / name, tmp_path)
    ours = extractor(tokens, encoder=str(tmp_path))
    assert ours.version.endswith(f"-{tiny_encoders.POSITIONS}")
    assert not ours.neural and extractor(tokens, encoder=str(tmp_path), most=9).version != (
        ours.version
    )
