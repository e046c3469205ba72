"""Tuning an encoder on single turns: what goes in, what learns, what is written, what is told."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders
import torch
from safetensors.torch import load_file
from tiny_encoders_sound import speech

from erc_demo import features
from erc_demo.dialogue import RATE, Dialogue, Span, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import encoder, singles
from trainer.__main__ import main
from trainer.datasets import Ask, Corpus, Labelled
from trainer.encoder import Tuning
from trainer.protocol import Fold

NEUTRAL, HAPPY, SAD, ANGRY = range(4)
SAYS = {HAPPY: "you sat on the cat", SAD: "a mat", NEUTRAL: "know", ANGRY: "do not do not"}
QUICK = Tuning(epochs=4, batch=4, rate=3e-3, seed=1)
FOLD = Fold(name="toy", train=("d0", "d1", "d2"), select=("d3",), report=("d4",))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(offline=True, device="cpu", data=tmp_path / "data")


def corpus(**swapped: str) -> Corpus:
    """Five dialogues of six turns, whose label stands in their words; swapped: other words."""
    order = np.random.default_rng(0)
    found = []
    for number in range(5):
        name = f"d{number}"
        labels = order.permutation([HAPPY, HAPPY, SAD, SAD, NEUTRAL, ANGRY])
        labels[-1] = -1 if number == 0 else labels[-1]
        texts = [swapped.get(name, SAYS.get(int(one), "the cat")) for one in labels]
        found.append(labelled(name, texts, labels))
    return Corpus(name="toy", ask=Ask(labels=("iemocap4",)), dialogues=tuple(found))


def labelled(name: str, texts: list[str], labels: np.ndarray, **more: object) -> Labelled:
    turns = tuple(Turn(number=at, speaker="A", text=text) for at, text in enumerate(texts))
    ids = tuple(f"{name}_{at}" for at in range(len(texts)))
    return Labelled(
        dialogue=Dialogue(name=name, turns=turns),
        ids=ids,
        people=("",) * len(ids),
        labels={"iemocap4": labels.astype(np.int64)},
        **more,  # type: ignore[arg-type]
    )


def tuned(
    base: Path,
    settings: Settings,
    out: Path,
    how: Tuning = QUICK,
    data: Corpus | None = None,
    fold: Fold = FOLD,
    sense: str = "text",
) -> tuple[encoder.Tuned, list[str]]:
    told: list[str] = []
    made = encoder.tune(
        sense, str(base), data or corpus(), fold, how, settings, out, tell=told.append
    )
    return made, told


def rows(text: str, dialogue: Dialogue, settings: Settings) -> np.ndarray:
    return features.extract([text], dialogue, None, settings)[text].rows


# ---- what goes in


@pytest.mark.parametrize("make", [tiny_encoders.bert, tiny_encoders.roberta])
def test_the_mean_that_is_tuned_is_the_vector_that_is_read(
    make: object, settings: Settings, tmp_path: Path
) -> None:
    folder = make(tmp_path / "model")  # type: ignore[operator]
    source = singles.SENSES["text"](str(folder), settings, tmp_path)
    data = corpus()
    found, remarks = singles.singles(data, ("d0",), source)
    assert [one.name for one in found] == [f"d0_{at}" for at in range(5)] and not remarks
    with torch.no_grad():
        means = source.means(source.model, found).numpy()
    read = rows(f"sentence:encoder={folder}", data.dialogues[0].dialogue, settings)
    np.testing.assert_allclose(means, read[:5], atol=1e-5)
    assert [one.size for one in found] == [len(one.read()) for one in found]


def test_a_long_text_keeps_its_first_tokens(settings: Settings, tmp_path: Path) -> None:
    folder = tiny_encoders.bert(tmp_path / "model")
    source = singles.SENSES["text"](str(folder), settings, tmp_path)
    long, short = " ".join(["cat"] * 50), " ".join(["cat"] * 5)
    data = replace(corpus(), dialogues=(labelled("d", [long, short, ""], np.array([1, 1, 1])),))
    found, remarks = singles.singles(data, ("d",), source)
    assert [one.size for one in found] == [tiny_encoders.POSITIONS, 7]
    ids = found[0].read()
    assert ids[0] == 2 and ids[-1] == 3 and len(set(ids[1:-1].tolist())) == 1
    assert remarks == ["1 labelled turns have no words and are left out (d_2)."]


@pytest.mark.parametrize(
    ("family", "norm"),
    [("wav2vec2", "group"), ("wav2vec2", "layer"), ("hubert", "layer"), ("wavlm", "group")],
)
def test_the_mean_over_frames_is_the_vector_of_speech(
    family: str, norm: str, settings: Settings, tmp_path: Path
) -> None:
    folder = speech(tmp_path / "model", family, norm=norm)
    data = heard(tmp_path)
    source = singles.SENSES["speech"](str(folder), settings, tmp_path / "place")
    (tmp_path / "place").mkdir()
    found, remarks = singles.singles(data, ("clips", "whole"), source)
    assert len(found) == 7
    assert remarks == ["1 labelled turns have no sound and are left out (whole_3)."]
    groups = source.groups(found)
    sizes = {len({one.size for one in group}) for group in groups}
    assert (max(sizes) > 1) == (family != "wavlm" and norm == "layer")
    with torch.no_grad():
        means = {
            one.name: mean.numpy()
            for group in groups
            for one, mean in zip(group, source.means(source.model, group), strict=True)
        }
    from erc_demo import recording

    whole = data.dialogues[1]
    assert whole.sound is not None
    made = recording.read(whole.sound, tmp_path / "again", settings)
    text = f"speech:encoder={folder}"
    read = features.extract([text], whole.dialogue, made, settings)[text]
    for at in range(3):
        np.testing.assert_allclose(means[f"whole_{at}"], read.of(at)[0], atol=2e-5)
    for at in range(3):  # the same stretches as files of their own
        np.testing.assert_allclose(means[f"clips_{at}"], means[f"whole_{at}"], atol=2e-5)


def heard(folder: Path) -> Corpus:
    """A dialogue in one file, and the same turns (and one more) as clips."""
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)
    edges = [0, RATE // 2, 5 * RATE // 4, 5 * RATE // 2]
    for name, part in [
        ("whole", noise),
        *((f"clip{at}", noise[edges[at] : edges[at + 1]]) for at in range(3)),
        ("clip3", noise[:4000]),
    ]:
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((part * 32768).astype("<i2").tobytes())
    labels = np.array([HAPPY, SAD, HAPPY, SAD])
    clips = tuple(folder / f"clip{at}.wav" for at in range(4))
    whole = labelled("whole", ["a"] * 4, labels, sound=folder / "whole.wav")
    spans = [Span(edges[at] / RATE, edges[at + 1] / RATE) for at in range(3)]
    turns = tuple(
        replace(turn, span=span)
        for turn, span in zip(whole.dialogue.turns, [*spans, None], strict=True)
    )
    whole = replace(whole, dialogue=replace(whole.dialogue, turns=turns))
    dialogues = (labelled("clips", ["a"] * 4, labels, clips=clips), whole)
    return Corpus(name="toy", ask=Ask(labels=("iemocap4",)), dialogues=dialogues)


# ---- what learns


def test_it_learns_and_the_extractors_read_what_it_wrote(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "HEAD_RATE", 0.03)  # of so few steps
    base, out = tiny_encoders.bert(tmp_path / "base"), tmp_path / "out"
    how = replace(QUICK, rate=1e-2, epochs=20, patience=20, batch=2)
    made, told = tuned(base, settings, out, how)
    assert made.history[-1]["loss"] < 0.2 * made.history[0]["loss"]
    assert made.score == max(one["weighted_f1"] for one in made.history) > 0.9
    assert made.history[made.epoch - 1]["weighted_f1"] == made.score
    assert len(told) == len(made.history)
    assert not list(tmp_path.glob(".out*")) and not list((settings.data / "jobs").iterdir())
    dialogue = corpus().dialogues[4].dialogue
    for name in ("sentence", "words"):
        new, old = (rows(f"{name}:encoder={one}", dialogue, settings) for one in (out, base))
        assert new.shape == old.shape and not np.allclose(new, old, atol=1e-2)
    before, after = (load_file(one / "model.safetensors") for one in (base, out))
    assert before.keys() == after.keys()
    assert oct((out / "model.safetensors").stat().st_mode)[-3:] == "644"


def test_the_seed_decides_and_the_reported_part_is_not_looked_at(
    settings: Settings, tmp_path: Path
) -> None:
    base = tiny_encoders.bert(tmp_path / "base")
    how = replace(QUICK, epochs=2)
    weights = []
    for at, (data, seed) in enumerate(
        [(corpus(), 1), (corpus(d4="you know"), 1), (corpus(), 2), (corpus(d1="you know"), 1)]
    ):
        tuned(base, settings, tmp_path / str(at), replace(how, seed=seed), data)
        weights.append(load_file(tmp_path / str(at) / "model.safetensors"))
    same = [all(torch.equal(weights[0][key], one[key]) for key in one) for one in weights]
    assert same == [True, True, False, False]


def test_an_adapter_changes_queries_and_values_alone(settings: Settings, tmp_path: Path) -> None:
    base, out = tiny_encoders.bert(tmp_path / "base"), tmp_path / "out"
    tuned(base, settings, out, replace(QUICK, tune="adapter", rank=2, rate=0.05))
    before, after = (load_file(one / "model.safetensors") for one in (base, out))
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed and all(key.endswith(("query.weight", "value.weight")) for key in changed)
    for key in changed:
        assert torch.linalg.matrix_rank(after[key] - before[key], rtol=1e-3) <= 2


@pytest.mark.parametrize(
    ("family", "tune"), [("wav2vec2", "full"), ("hubert", "full"), ("wavlm", "adapter")]
)
def test_a_speech_encoder_learns_behind_its_convolutions(
    family: str, tune: str, settings: Settings, tmp_path: Path
) -> None:
    base, out = speech(tmp_path / "base", family), tmp_path / "out"
    fold = Fold(name="toy", train=("clips",), select=("whole",))
    how = replace(QUICK, epochs=2, tune=tune)
    made, told = tuned(base, settings, out, how, heard(tmp_path), fold, "speech")
    assert len(made.history) == 2
    assert any("1 labelled turns have no sound" in one for one in told)
    before, after = (load_file(one / "model.safetensors") for one in (base, out))
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed and not any(key.startswith("feature_extractor") for key in changed)
    extractor = features.ready(features.parse(f"speech:encoder={out}"), settings)
    old = features.ready(features.parse(f"speech:encoder={base}"), settings)
    assert extractor.width == old.width and extractor.version != old.version
    config = json.loads((out / "config.json").read_text())
    assert config.get("apply_spec_augment", True)  # of what comes after, nothing was decided


def test_a_difference_is_the_encoder_that_was_tuned(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_encoders.bert(tmp_path / "base")
    data, told = corpus(), []
    still = replace(QUICK, still=True)
    monkeypatch.setattr(encoder, "_refuse_here_only", lambda how, base: None)  # a toy is a folder
    for keep in ("whole", "difference"):
        how = replace(still, keep=keep)
        encoder.tune("text", str(base), data, FOLD, how, settings, tmp_path / keep, told.append)
    talk = data.dialogues[0].dialogue
    before, whole, less = (
        rows(f"sentence:encoder={tmp_path / one}", talk, settings)
        for one in ("base", "whole", "difference")
    )
    assert np.abs(less - whole).max() < 0.02 * np.abs(whole - before).max()
    kept = load_file(tmp_path / "difference" / "difference.safetensors")
    assert kept and not any("word_embeddings" in name for name in kept)
    assert encoder.remarks([f"sentence:encoder={tmp_path / 'difference'}"], ["d0", "d4"])


def test_it_ends_when_selection_no_longer_gains(settings: Settings, tmp_path: Path) -> None:
    base = tiny_encoders.bert(tmp_path / "base")
    how = replace(QUICK, epochs=9, rate=1e-9, patience=2, batch=99)
    made, _ = tuned(base, settings, tmp_path / "out", how)
    assert len(made.history) == made.epoch + 2 < 9


def test_an_epoch_has_every_turn_once_and_like_lengths_together() -> None:
    draw = np.random.default_rng(0)
    train = [
        singles.Single(name=str(at), label=0, size=int(size), read=lambda: np.zeros(1))
        for at, size in enumerate(draw.integers(1, 100, 200))
    ]
    one, same, other = (encoder._batches(train, 8, seed) for seed in ([0, 1], [0, 1], [0, 2]))
    assert sorted(each.name for batch in one for each in batch) == sorted(e.name for e in train)
    assert one == same != other
    spread = max(max(e.size for e in batch) - min(e.size for e in batch) for batch in one if batch)
    assert spread < 20


def test_the_rate_rises_and_falls() -> None:
    shares = [encoder._share(step, 100) for step in range(101)]
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert shares[10] == 1 and shares[55] == pytest.approx(0.5) and shares[100] == 0
    assert encoder._share(0, 1) == 1


# ---- what is written, and what is refused


def test_what_it_learned_from_is_told_of_later(settings: Settings, tmp_path: Path) -> None:
    base, out = tiny_encoders.bert(tmp_path / "base"), tmp_path / "out"
    tuned(base, settings, out, replace(QUICK, epochs=1))
    text = f"sentence:encoder={out}"
    found = encoder.remarks([text, "sentence", f"words:encoder={base}", text], ["d1", "d3", "d4"])
    assert len(found) == 2
    assert "learned from 1 of these 3 dialogues (d1)" in found[0]
    assert "was chosen on 1 of these 3 dialogues (d3)" in found[1]
    assert not encoder.remarks([text], ["d4"])
    record = json.loads((out / encoder.RECORD).read_text())
    assert record["fold"]["sha256"] == FOLD.sha256
    assert record["data"]["sha256"] == corpus().sha256
    assert record["turns"] == {"training": 17, "selection": 6}
    assert "d1" not in json.dumps(record["seen"])
    card = (out / "README.md").read_text()
    assert "on 17 turns of `toy`" in card and "`base`" in card
    assert str(tmp_path) not in card


def test_what_can_not_be_tuned_is_a_sentence(settings: Settings, tmp_path: Path) -> None:
    base, out = tiny_encoders.bert(tmp_path / "base"), tmp_path / "out"
    with pytest.raises(UserError, match="exists already"):
        tuned(base, settings, base)
    with pytest.raises(UserError, match="more than an encoder"):
        tuned(tiny_encoders.t5(tmp_path / "halves"), settings, out)
    one_label = labelled("d0", ["a", "cat"], np.array([SAD, SAD]))
    other = labelled("d1", ["a"], np.array([SAD]))
    few = replace(corpus(), dialogues=(one_label, other))
    fold = Fold(name="toy", train=("d0",), select=("d1",))
    with pytest.raises(UserError, match="too few labelled turns"):
        tuned(base, settings, out, data=few, fold=fold)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="can't be written"):
        tuned(base, settings, file / "out", replace(QUICK, epochs=1))
    with pytest.raises(UserError, match=r"epochs is 'many'.*tune is 'half'"):
        Tuning.of({"epochs": "many", "tune": "half"})
    assert not out.exists()


def test_a_folder_appears_whole_or_not_at_all(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, out = tiny_encoders.bert(tmp_path / "base"), tmp_path / "made" / "out"

    def stop(_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "_card", stop)
    with pytest.raises(KeyboardInterrupt):
        tuned(base, settings, out, replace(QUICK, epochs=1))
    assert not list(out.parent.iterdir())


def test_the_command_tunes_on_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, table = tiny_encoders.bert(tmp_path / "base"), tmp_path / "table"
    table.mkdir()
    lines = ["utt_id,dialogue,turn,speaker,session,text,emotion,split"]
    for number in range(6):
        for at, (label, text) in enumerate(SAYS.items()):
            word = ("neutral", "happy", "sad", "angry")[label]
            split = "dev" if number == 5 else "train"
            lines.append(f"u{number}{at},d{number},{at},A,{number // 2},{text},{word},{split}")
    (table / "turns.csv").write_text("\n".join(lines) + "\n")
    call = ["encoder", "text", "--data", f"table:{table}", "--labels", "iemocap4"]
    call += ["--from", str(base), "--epochs", "1", "--rate", "3e-3", "--cache", str(tmp_path / "c")]
    call += ["--device", "cpu", "--out"]
    assert main([*call, str(tmp_path / "one"), "--split-column", "split"]) == 0
    assert "epoch 1 was kept" in capsys.readouterr().out
    assert (tmp_path / "one" / "model.safetensors").is_file()
    assert main([*call, str(tmp_path / "two"), "--protocol", "loso"]) == 2
    assert "session0, session1, session2" in capsys.readouterr().err
    assert main([*call, str(tmp_path / "two"), "--protocol", "loso", "--fold", "session1"]) == 0
    record = json.loads((tmp_path / "two" / encoder.RECORD).read_text())
    assert record["turns"] == {"training": 8, "selection": 8}
    assert main(["encoder", "speech", *call[2:6], "--out", str(tmp_path / "three")]) == 2
    assert "--from names no speech encoder" in capsys.readouterr().err


@pytest.mark.slow
def test_real_clips_through_a_tiny_speech_encoder(
    shared: object, settings: Settings, tmp_path: Path
) -> None:
    folder = shared("data/ravdess")  # type: ignore[operator]
    found = []
    for actor in ("01", "02", "03"):
        clips = sorted(folder.glob(f"03-01-0[35]-01-01-01-{actor}.ogg"))
        labels = np.array([HAPPY if "-03-01-01-01-" in clip.name else ANGRY for clip in clips])
        found.append(labelled(f"actor{actor}", ["kids"] * len(clips), labels, clips=tuple(clips)))
    data = Corpus(name="clips", ask=Ask(labels=("iemocap4",)), dialogues=tuple(found))
    fold = Fold(name="toy", train=("actor01", "actor02"), select=("actor03",))
    base = speech(tmp_path / "base", "hubert", norm="layer")
    made, _ = tuned(
        base, settings, tmp_path / "out", replace(QUICK, epochs=2), data, fold, "speech"
    )
    assert np.isfinite([one["loss"] for one in made.history]).all()
