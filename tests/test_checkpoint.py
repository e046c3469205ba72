"""A checkpoint is the same system again, or one sentence that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import turns_of_numbers as made
from safetensors.torch import load_file, save_file
from saved import READS, SETTINGS, VOICE, answers, save

from erc_demo import checkpoint, systems
from erc_demo.checkpoint import CONFIG, WEIGHTS, _folder, _weights
from erc_demo.errors import UserError


def test_it_says_the_same_after_a_file(tmp_path: Path) -> None:
    system = save(tmp_path / "one", labels=("iemocap4", "meld7"), dimensions=("arousal",))
    again = checkpoint.load(str(tmp_path / "one"), SETTINGS)
    assert again.system.design == system.design and again.training == {"seed": 3}
    assert again.made_by.startswith("one ") and not again.system.training
    given = made.conversation(system.design, 7, seed=1)
    one = systems.predict(system, given, labels="meld7")
    two = systems.predict(again.system, given, labels="meld7")
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_array_equal(one.values, two.values)


def test_half_precision_takes_half_the_room_and_says_the_same(tmp_path: Path) -> None:
    """Chances within 0.005: single and half differ by 0.0005 of a weight."""
    system = save(tmp_path / "one")
    save(tmp_path / "half", half=True)
    again = checkpoint.load(str(tmp_path / "half"), SETTINGS).system
    assert all(one.dtype == torch.float32 for one in again.parameters())
    np.testing.assert_allclose(answers(again), answers(system), atol=5e-3)
    written = load_file(tmp_path / "half" / WEIGHTS)
    single = {key for key, one in written.items() if one.dtype == torch.float32}
    assert single and all(key.startswith("scales.") for key in single)
    assert all(written[key].equal(one) for key, one in system.state_dict().items() if key in single)
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("one", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def test_a_scale_of_a_million_survives_half_precision(tmp_path: Path) -> None:
    system = save(tmp_path / "one", reads=VOICE)
    scale = next(key for key in system.state_dict() if key.startswith("scales."))
    system.state_dict()[scale].fill_(1e6)
    versions = checkpoint.versions(system.design, SETTINGS)
    checkpoint.save(tmp_path / "two", system, versions, {}, half=True)
    again = checkpoint.load(str(tmp_path / "two"), SETTINGS).system
    assert (again.state_dict()[scale] == 1e6).all()


@pytest.mark.parametrize(
    ("numbers", "halves"),
    [
        ([1.0, -0.3, 1e-3], True),
        ([1.0, 65504.0], True),
        ([1.0, 65536.0], False),  # would be infinite
        ([1.0, 1e-7], True),  # coarse, and nothing beside the 1
        ([2e-7, 1e-7], False),  # coarse, and all there is
        ([0.0, 0.0], True),
        ([], False),
    ],
)
def test_what_half_precision_would_spoil_stays_single(numbers: list[float], halves: bool) -> None:
    kept = _weights.halved({"a.weight": torch.tensor(numbers)})["a.weight"]
    assert kept.dtype == (torch.float16 if halves else torch.float32)
    counts = {"b": torch.tensor([3]), "c": torch.tensor([1.0], dtype=torch.float64)}
    assert _weights.halved(counts) == counts


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, object]]) -> None:
    """Other weights under a hash that fits them."""
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    config = json.loads((folder / CONFIG).read_text())
    config["sha256"] = _weights.digest(folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config))


def but(state: dict[str, torch.Tensor], key: str) -> dict[str, torch.Tensor]:
    return {name: one for name, one in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: but(state, "nothing"), "1 weights are missing"),
        (lambda state: state | {"more": torch.zeros(1)}, "are not of this system"),
        (lambda state: state | {"nothing": torch.zeros(3)}, r"nothing is \(3,\), not \(16,\)"),
        (lambda state: state | {"nothing": state["nothing"] * torch.nan}, "nothing is not finite"),
        (
            lambda state: state | {"nothing": state["nothing"].to(torch.int8)},
            "nothing is torch.int8",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[dict[str, torch.Tensor]], dict[str, object]], says: str, tmp_path: Path
) -> None:
    save(tmp_path / "one")
    rewrite(tmp_path / "one", change)
    with pytest.raises(UserError, match=says):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)


def set_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a system .* nor a checkpoint's folder"):
        checkpoint.load("ats_sagrus", SETTINGS)
    with pytest.raises(UserError, match="holds no config.json"):
        checkpoint.load(str(tmp_path), SETTINGS)
    save(tmp_path / "one")
    with pytest.raises(UserError, match="exists already"):
        save(tmp_path / "one")
    weights = (tmp_path / "one" / WEIGHTS).read_bytes()
    (tmp_path / "one" / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(UserError, match="another sha256"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
    (tmp_path / "one" / WEIGHTS).unlink()
    with pytest.raises(UserError, match="is missing"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
    for config, says in (
        ({"layout": 7}, "layout 7"),
        ({"design": {}}, "is not a checkpoint's"),
        ({"design": 3}, "is not a checkpoint's"),
        ({"features": None}, "is not a checkpoint's"),
    ):
        folder = tmp_path / f"other {len(says)} {says[-3:]} {list(config)[0]}"
        if not folder.exists():
            save(folder)
        set_config(folder, **config)
        with pytest.raises(UserError, match=says):
            checkpoint.load(str(folder), SETTINGS)
    for text in ("{", "[1]", "\0", "[" * 200_000, "1" * 5000):
        (tmp_path / "one" / CONFIG).write_text(text)
        with pytest.raises(UserError, match="not JSON|layout '(list|int)'"):
            checkpoint.load(str(tmp_path / "one"), SETTINGS)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("system", "erc_9000", "There is no 'erc_9000' in systems"),
        ("labels", ["moods"], "moods"),
        ("inputs", {"audio": ["gemaps48"]}, "There is no 'gemaps48' in features"),
        ("inputs", {"audio": ["speech:encoder=/no/such"]}, "/no/such"),
        ("settings", {"units": "many"}, "a whole number was wanted"),
        ("widths", {"audio": 1e999}, "OverflowError"),
    ],
)
def test_a_config_of_what_is_not_here_is_refused(
    key: str, value: object, says: str, tmp_path: Path
) -> None:
    save(tmp_path / "one", reads=VOICE)
    design = json.loads((tmp_path / "one" / CONFIG).read_text())["design"]
    set_config(tmp_path / "one", design=design | {key: value})
    with pytest.raises(UserError, match=says) as caught:
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
    assert str(caught.value).count("\n") == 0


def test_a_config_of_a_megabyte_is_refused_unread(tmp_path: Path) -> None:
    save(tmp_path / "one", reads=VOICE)
    set_config(tmp_path / "one", training={"long": "x" * 2**20})
    with pytest.raises(UserError, match="over 1 MB"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)


def test_a_config_of_a_million_layers_is_refused_in_a_moment(tmp_path: Path) -> None:
    save(tmp_path / "one", "dialogue_trm", reads=VOICE)
    design = json.loads((tmp_path / "one" / CONFIG).read_text())["design"]
    design["settings"]["layers"] = 1_000_000
    set_config(tmp_path / "one", design=design)
    with pytest.raises(UserError, match="far more of them"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)


def test_numbers_of_another_version_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "one")
    config = json.loads((tmp_path / "one" / CONFIG).read_text())
    set_config(tmp_path / "one", features=config["features"] | {"voice": "0"})
    with pytest.raises(UserError, match="voice was 0 in training and is"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    save(tmp_path / "one")
    torch.save({"nothing": torch.zeros(16)}, tmp_path / "one" / WEIGHTS)
    sha256 = _weights.digest(tmp_path / "one" / WEIGHTS)
    set_config(tmp_path / "one", sha256=sha256)
    with pytest.raises(UserError, match="is no safetensors but a pickle"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
    (tmp_path / "one" / WEIGHTS).write_bytes(b"neither this nor that")
    set_config(tmp_path / "one", sha256=_weights.digest(tmp_path / "one" / WEIGHTS))
    with pytest.raises(UserError, match="can't be read as safetensors"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
    (tmp_path / "one" / WEIGHTS).rename(tmp_path / "one" / "pytorch_model.bin")
    with pytest.raises(UserError, match="in pytorch_model.bin, a pickle"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)


def test_widths_are_those_of_the_features() -> None:
    assert checkpoint.widths(READS, SETTINGS) == {"audio": 94, "text": 384, "speaker": 256}
    assert checkpoint.widths({"audio": ("gemaps47", "voice")}, SETTINGS) == {"audio": 303}


def test_a_folder_is_called_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "one")
    monkeypatch.chdir(tmp_path / "one")
    assert checkpoint.load(".", SETTINGS).name == "one"
    for ref in ("x" * 5000, "~nobody-here/one"):
        assert checkpoint.find(ref) is None


def test_a_folder_that_cant_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be made"):
        save(tmp_path / "file" / "one")


def test_a_design_that_nobody_trained_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "one")
    config = json.loads((tmp_path / "one" / CONFIG).read_text())
    config["design"]["settings"]["units"] = 50_000
    (tmp_path / "one" / CONFIG).write_text(json.dumps(config))
    monkeypatch.setattr(systems, "build", lambda design: pytest.fail("built before it was held"))
    with pytest.raises(UserError, match="do not fit"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)


def test_nothing_is_left_beside_a_checkpoint_and_others_may_read_it(tmp_path: Path) -> None:
    save(tmp_path / "one")
    assert [one.name for one in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one" / WEIGHTS).stat().st_mode & 0o777 == 0o644


def test_other_widths_than_here_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "one")
    monkeypatch.setattr(_folder, "_width", lambda text, settings: 7)
    with pytest.raises(UserError, match="audio has 94 numbers in the checkpoint and 7 here"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
