"""Recognisers and speaker encoders by name, from a Hub of our own: well, refusing, never answering.

The models are random and tiny; the way they come here is the true one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_whisper
from hub_server import HubServer

from erc_demo import hub, voices, words
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words import whisper

ECAPA = "speechbrain/spkrec-ecapa-voxceleb"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: the Whisper that ``auto`` would take, and an ECAPA."""
    root = tmp_path_factory.mktemp("served")
    repository = root / whisper.repository(whisper.suited("en")[0])
    repository.parent.mkdir(parents=True)
    tiny_whisper.make(root / "made").rename(repository)

    import torch
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    (root / ECAPA).mkdir(parents=True)
    torch.manual_seed(0)
    net = ECAPA_TDNN(80, lin_neurons=16, channels=[32] * 4 + [96])
    torch.save(net.state_dict(), root / ECAPA / "embedding_model.ckpt")
    (root / ECAPA / "hyperparams.yaml").write_text("danger: !apply:os.abort []\n")
    return root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[HubServer], None]:
    """Point this process and its children at a Hub, with an empty cache."""

    def use(server: HubServer) -> None:
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
        for key, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(key, value)

    return use


@pytest.fixture
def call(recording_of: Callable[..., Recording]) -> tuple[Recording, Dialogue]:
    noise = np.random.default_rng(0).normal(0, 0.1, 6 * RATE)
    turn = Turn(number=0, speaker="A", span=Span(0.5, 5))
    return recording_of(noise), Dialogue(name="made", turns=(turn,), duration=6.0)


def test_auto_fetches_a_whisper_once_and_finds_it_offline_afterwards(
    served: Path, home: Callable[[HubServer], None], call: tuple[Recording, Dialogue]
) -> None:
    with HubServer(served) as server:
        home(server)
        heard = words.hear(*call, Settings(jobs=1, language="en"))
        assert "faster-whisper" in str(heard.recognizer)
        assert any("model.bin" in asked for asked in map(str, server.asked))
        before = len(server.asked)
        again = words.hear(*call, Settings(jobs=1, language="en", offline=True))
        assert again.recognizer == heard.recognizer
        assert len(server.asked) == before


def test_a_speechbrain_encoder_comes_without_its_program(
    served: Path, home: Callable[[HubServer], None]
) -> None:
    with HubServer(served) as server:
        home(server)
        encoder = voices.load(ECAPA, Settings())
        assert encoder.width == 16
        assert encoder.embed(np.ones(RATE, np.float32)).shape == (16,)
        assert not any("hyperparams.yaml" in asked for asked in map(str, server.asked))


@pytest.mark.parametrize(
    ("mode", "says"), [("mute", "was silent for more than"), ("refuses", "HTTP 503")]
)
def test_a_bad_hub_is_a_sentence_by_name_and_a_fallback_by_auto(
    served: Path,
    home: Callable[[HubServer], None],
    call: tuple[Recording, Dialogue],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    says: str,
) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 1.0)
    how = {"mode": "mute"} if mode == "mute" else {"status": 503}
    with HubServer(served, **how) as server:  # type: ignore[arg-type]
        home(server)
        with pytest.raises(UserError, match=says):
            words.hear(*call, Settings(recognizer="tiny.en"))
        with pytest.raises(UserError, match=says):
            voices.load(ECAPA, Settings())
        heard = words.hear(*call, Settings(jobs=1))
        assert str(heard.recognizer).startswith("pocketsphinx")
        assert any(says in remark for remark in heard.remarks)
