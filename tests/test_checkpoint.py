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

from erc_demo import checkpoint, systems
from erc_demo.checkpoint import CONFIG, WEIGHTS
from erc_demo.errors import UserError
from erc_demo.settings import Settings

SETTINGS = Settings(offline=True)
READS = {"audio": ("gemaps47:speaker_norm=both",), "text": ("sentence",), "speaker": ("voice",)}


def save(folder: Path, **changes: object) -> systems.System:
    widths = checkpoint.widths(READS, SETTINGS)
    design = systems.design(
        "ats_sagru",
        widths=widths,
        reads=READS,
        settings=systems.Design.from_json(made.plan("ats_sagru").to_json()).settings,
        **changes,
    )
    system = made.build(design, seed=3)
    given = made.conversation(design, 6)
    system.fit_inputs([given])
    checkpoint.save(folder, system, checkpoint.versions(design, SETTINGS), {"seed": 3})
    return system


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


def test_half_precision_is_read(tmp_path: Path) -> None:
    system = save(tmp_path / "one")
    rewrite(tmp_path / "one", lambda state: {key: one.half() for key, one in state.items()})
    again = checkpoint.load(str(tmp_path / "one"), SETTINGS)
    assert all(one.dtype == torch.float32 for one in again.system.parameters())
    given = made.conversation(system.design, 4)
    one, two = (systems.predict(each, given) for each in (system, again.system))
    np.testing.assert_allclose(one.probabilities, two.probabilities, atol=5e-3)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, object]]) -> None:
    """Other weights under a hash that fits them."""
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    config = json.loads((folder / CONFIG).read_text())
    config["sha256"] = checkpoint._sha256(folder / WEIGHTS)
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
    for text in ("{", "[1]", "\0"):
        (tmp_path / "one" / CONFIG).write_text(text)
        with pytest.raises(UserError, match="not JSON|layout 'list'"):
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
    sha256 = checkpoint._sha256(tmp_path / "one" / WEIGHTS)
    set_config(tmp_path / "one", sha256=sha256)
    with pytest.raises(UserError, match="can't be read as safetensors"):
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
    monkeypatch.setattr(checkpoint, "_width", lambda text, settings: 7)
    with pytest.raises(UserError, match="audio has 94 numbers in the checkpoint and 7 here"):
        checkpoint.load(str(tmp_path / "one"), SETTINGS)
