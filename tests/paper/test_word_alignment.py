"""word_alignment against its paper, one head, one word and one frame at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import turns_of_numbers as made
from gru_by_hand import part, softmax
from lstm_by_hand import both_ways

from erc_demo import systems
from erc_demo.errors import UserError
from erc_demo.systems import Conversation, System, word_alignment

ROWS = ("", "speech", "text", "concat", "hard")  # of Tables 1 and 2
SIX = {"labels": ("iemocap6", "meld7"), "dimensions": ("valence", "arousal")}
NAN = (np.nan, np.nan)
Maps = dict[str, np.ndarray]


def scored(
    weights: dict, s: np.ndarray, h: np.ndarray, config: object
) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 7 to 9: α of each head, word and frame, and each word's s̃."""
    found = np.zeros((config.heads, len(h), len(s)))
    summed = np.zeros((len(h), config.heads, s.shape[1]))
    for k in range(config.heads):
        mine = slice(k * config.head_units, (k + 1) * config.head_units)
        for j in range(len(h)):
            a = []
            for i in range(len(s)):
                if config.score == "eq7":
                    u, v, b = weights["u"][mine], weights["v"][mine], weights["b"][k]
                    a.append(np.tanh(u @ s[i, mine] + v @ h[j, mine] + b))  # (7)
                else:
                    inner = weights["speech.weight"][mine] @ s[i]
                    inner = inner + weights["text.weight"][mine] @ h[j] + weights["text.bias"][mine]
                    a.append(weights["weight"][k, :, 0] @ np.tanh(inner))
            found[k, j] = softmax(np.array(a))  # (8)
            summed[j, k] = sum(found[k, j, i] * s[i] for i in range(len(s)))  # (9)
    if config.score == "eq7":
        mine = [slice(k * config.head_units, (k + 1) * config.head_units)
                for k in range(config.heads)]  # fmt: skip
        return found, np.array(
            [np.concatenate([one[k, mine[k]] for k in range(config.heads)]) for one in summed]
        )
    return found, np.array([weights["project.weight"] @ one.reshape(-1) for one in summed])


def hard(
    times: np.ndarray | None, words: int, frames: int, step: float, reach: float
) -> np.ndarray:
    """Each word's share of each frame by its time."""
    middles = [at * step + reach / 2 for at in range(frames)]
    found = np.zeros((words, frames))
    for j in range(words):
        begin, end = NAN if times is None or j >= len(times) else times[j]
        chosen = [i for i in range(frames) if begin <= middles[i] < end]
        if np.isnan(begin) or np.isnan(end):
            chosen = list(range(frames))
        elif not chosen:
            chosen = [min(range(frames), key=lambda i: abs(middles[i] - (begin + end) / 2))]
        found[j, chosen] = 1 / len(chosen)
    return found


def literal(system: System, given: Conversation, at: int) -> tuple[dict[str, np.ndarray], Maps]:
    """Answers and maps of one turn, Eq. 1 to 15."""
    weights = {key: value.numpy() for key, value in system.state_dict().items()}
    config, maps, states = system.config, {}, {}
    for name, encoder in (("audio", "speech."), ("text", "text.")):
        if name in system.design.inputs:
            scale = part(weights, f"scales.{name}.")
            rows = (given.rows[name][at] - scale["mean"]) * scale["scale"]
            states[name] = both_ways(part(weights, encoder), rows)  # (1-3), (4-6)
    if config.fuse in ("alignment", "hard"):
        s, h = states["audio"], states["text"]
        if config.fuse == "hard":
            maps["alignment"] = hard(given.words[at], len(h), len(s), *given.steps["audio"])
            heard = maps["alignment"] @ s
        else:
            maps["alignment"], heard = scored(part(weights, "score."), s, h, config)
        c = both_ways(part(weights, "joint."), np.concatenate([heard, h], axis=1))  # (10-12)
        vector = c.max(axis=0)  # (13)
    else:
        pooled = []
        for name, rows in states.items():
            alpha = softmax(np.array([weights[f"pool.{name}.weight"][0] @ one for one in rows]))
            maps[{"audio": "frames", "text": "words"}[name]] = alpha
            pooled.append(sum(share * one for share, one in zip(alpha, rows, strict=True)))
        vector = np.concatenate(pooled)
    answers = {"values": weights["heads.dimensions.weight"] @ vector}
    for name in system.design.labels:
        z = weights[f"heads.labels.{name}.weight"] @ vector
        answers[name] = softmax(np.maximum(z, 0) if config.relu else z)  # (14, 15)
    return answers, maps


def turns(system: System, count: int = 5) -> Conversation:
    """Turns whose words have odd times: unknown, between two frames, past the end, too few."""
    given = made.conversation(system.design, count, seed=2, size=6)
    words = [np.array(one, np.float32) for one in given.words]
    words[0][0] = NAN
    words[1][-1] = (0.051, 0.052)
    words[2][-1] = (90.0, 91.0)
    words[3] = words[3][:1]
    return replace(given, words=(*words[:4], None, *words[5:]))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(("row", "score"), [*((row, "additive") for row in ROWS), ("", "eq7")])
def test_it_equals_the_paper_written_out(row: str, score: str, relu: bool) -> None:
    settings = {"score": score, "relu": relu}
    system = made.build(made.plan("word_alignment", row, settings=settings, **SIX))
    system.fit_inputs([made.conversation(system.design, 8, seed=1)])
    given = turns(system)
    for name in SIX["labels"]:
        found = systems.predict(system, given, labels=name)
        for at in range(len(given)):
            answers, maps = literal(system, given, at)
            np.testing.assert_allclose(found.probabilities[at], answers[name], atol=1e-5)
            np.testing.assert_allclose(found.values[at], answers["values"], atol=1e-5)
            assert {one.name for one in found.maps} == set(maps)
            for one in found.maps:
                np.testing.assert_allclose(one.values[at], maps[one.name], atol=1e-5)


def test_blocks_of_frames_change_neither_answer_nor_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = made.build(made.plan("word_alignment", **SIX))
    batch = systems.collate([turns(system)])
    wanted = made.targets(system.design, batch)
    found = []
    for block in (10**9, 4000, 1):
        monkeypatch.setattr(word_alignment, "BLOCK", block)
        system.zero_grad()
        output = system(batch, True)
        system.loss(output, batch, wanted).backward()
        grads = {key: one.grad.clone() for key, one in system.named_parameters()}
        with torch.inference_mode():
            again = system(batch).logits["iemocap6"]
        found.append([output.logits["iemocap6"].detach(), again, output.shown["alignment"], grads])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def alignment(score: str) -> np.ndarray:
    """(heads, words, frames) of one turn with weights larger than at birth."""
    system = made.build(made.plan("word_alignment", settings={"score": score}))
    with torch.no_grad():
        for one in system.score.parameters():
            one.mul_(4)
    random = np.random.default_rng(3)
    rows = {
        name: random.standard_normal((count, made.WIDTH)).astype("f4")
        for name, count in (("audio", 40), ("text", 8))
    }
    given = made.conversation(system.design, 1).instead(0, rows)
    return systems.predict(system, given).map("alignment").values[0]


def test_as_printed_every_word_ranks_the_frames_alike_and_weights_differ_by_e2_at_most() -> None:
    shares = alignment("eq7")
    assert shares.shape == (4, 8, 40)
    assert (shares.max(axis=2) / shares.min(axis=2)).max() <= np.e**2 * (1 + 1e-5)
    for head in shares:
        alike = head[:, head[0].argsort()]
        assert (np.diff(alike, axis=1) >= -1e-7).all()  # equal where tanh has levelled off


def test_the_additive_score_lets_words_differ() -> None:
    shares = alignment("additive")
    orders = [{tuple(word.argsort()) for word in head} for head in shares]
    assert all(len(one) > 1 for one in orders)
    assert (shares.max(axis=2) / shares.min(axis=2)).max() > np.e**2


def test_a_words_own_time_on_frames_laid_out_by_hand() -> None:
    """Middles of six frames: 0.25, 0.5 … 1.5 s; a word has the frame at its start, not its end."""
    system = made.build(made.plan("word_alignment", "hard"))
    given = made.conversation(system.design, 1, seed=4)
    random = np.random.default_rng(0)
    rows = {
        name: random.standard_normal((count, made.WIDTH)).astype("f4")
        for name, count in (("audio", 6), ("text", 5))
    }
    times = np.array([(0.25, 0.75), (0.75, 1.5), (0.8, 0.85), (5.0, 6.0), NAN])
    given = given.instead(0, rows, words=(times,), steps={"audio": (0.25, 0.5)})
    thirds, sixths = 1 / 3, 1 / 6
    wanted = [
        [0.5, 0.5, 0, 0, 0, 0],
        [0, 0, thirds, thirds, thirds, 0],
        [0, 0, 1, 0, 0, 0],  # between two frames: the nearer
        [0, 0, 0, 0, 0, 1],  # past the end: the last
        [sixths] * 6,  # unknown: all
    ]
    shown = systems.predict(system, given).map("alignment")
    np.testing.assert_allclose(shown.values[0], wanted, atol=1e-6)
    unknown = replace(given, words=(None,))
    shown = systems.predict(system, unknown).map("alignment")
    np.testing.assert_allclose(shown.values[0], np.full((5, 6), sixths), atol=1e-6)


@pytest.mark.parametrize("relu", [True, False])
def test_a_label_below_zero_on_every_turn_learns_nothing_under_relu(relu: bool) -> None:
    """Why a checkpoint here goes without the ReLU of Eq. 14."""
    design = made.plan("word_alignment", settings={"relu": relu}, labels=("iemocap4",))
    system = made.build(design)
    batch = systems.collate([made.conversation(design, 6, seed=5)])
    wanted = systems.Targets(labels={"iemocap4": torch.ones(1, 6, dtype=torch.int64)})
    read: list[torch.Tensor] = []  # c̃ of every turn
    system.heads.register_forward_pre_hook(lambda _, given: read.append(given[0].detach()))
    system(batch)
    weight = system.heads.labels["iemocap4"].weight
    with torch.no_grad():
        weight[1] = torch.linalg.lstsq(read[0], -torch.ones(6, 1)).solution[:, 0]  # z = -1
    system.loss(system(batch), batch, wanted).backward()
    assert bool(weight.grad[1].any()) is not relu


@pytest.mark.parametrize(("row", "widths"), [("", [64, 32]), ("hard", [64, 32]), ("concat", [64])])
def test_dropout_stands_before_the_last_two_layers(row: str, widths: list[int]) -> None:
    system = made.build(made.plan("word_alignment", row)).train()
    seen: list[int] = []
    system.dropout.register_forward_hook(lambda _, __, made: seen.append(made.shape[-1]))
    system(systems.collate([turns(system)]))
    assert seen == widths


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="3 heads of 8 weights make 24"):
        made.build(made.plan("word_alignment", settings={"score": "eq7", "heads": 3}))
    with pytest.raises(
        UserError, match="the inputs audio has too few; it can answer with audio . text"
    ):
        made.build(made.plan("word_alignment", reads={"audio": ("frames34",)}))


def test_sizes_are_the_printed_ones() -> None:
    design = systems.design(
        "word_alignment", widths={"audio": 34, "text": 300}, labels=("iemocap4",)
    )
    shapes = {key: tuple(one.shape) for key, one in systems.build(design).named_parameters()}
    for encoder, width in (("speech", 34), ("text", 300), ("joint", 400)):
        assert shapes[f"{encoder}.ways.1.weight_ih_l0"] == (4 * 100, width)
    assert shapes["score.weight"] == (5, 40, 1)
    assert shapes["score.project.weight"] == (200, 5 * 200)
    assert shapes["heads.labels.iemocap4.weight"] == (4, 200)
    assert not any(key.startswith("heads") and key.endswith("bias") for key in shapes)
    printed = replace(design, settings={"score": "eq7"})
    shapes = {key: tuple(one.shape) for key, one in systems.build(printed).named_parameters()}
    assert shapes["score.u"] == shapes["score.v"] == (200,) and shapes["score.b"] == (5,)


@pytest.mark.parametrize("frames", [2, 7])
def test_the_written_out_gradient_is_the_gradient(frames: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 5, 3, 4), (2, 3, 3, 4), (3, 4))  # frames, words, weights
    given = [torch.randn(one, generator=generator, dtype=torch.float64) for one in shapes]
    given = [one.requires_grad_() for one in given]
    assert torch.autograd.gradcheck(
        lambda *these: word_alignment.Blocks.apply(*these, frames), given
    )
    single = [one.detach().float().requires_grad_() for one in given]
    heard, read, weight = single
    plain = (torch.tanh(heard.unsqueeze(1) + read.unsqueeze(2)) * weight).sum(dim=-1)
    found = word_alignment.Blocks.apply(*single, frames)
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=1e-5)
    grads = (torch.autograd.grad(one.square().sum(), single) for one in (found, plain))
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("row", ["", "concat", "hard"])
def test_lacking_one_of_the_two_a_turn_is_answered_all_the_same(row: str) -> None:
    """As if the vectors that stand for it had come out of the LSTM; beside it nothing changes."""
    system = made.build(made.plan("word_alignment", row, settings={"lacking": True}))
    given = made.conversation(system.design, 5, seed=3)
    whole = systems.predict(system, given).probabilities
    for gone, left in (("audio", "text"), ("text", "audio")):
        rows = {gone: None}
        lacking = given.instead(2, rows)
        found = systems.predict(system, lacking).probabilities
        assert np.isfinite(found).all() and not np.allclose(found[2], whole[2])
        others = [0, 1, 3, 4]
        np.testing.assert_allclose(found[others], whole[others], atol=1e-6)
        assert system.enough(frozenset({left})) and not system.enough(frozenset())
    strict = made.build(made.plan("word_alignment", row))
    assert not strict.enough(frozenset({"text"})) and not strict.enough(frozenset({"audio"}))


def test_what_is_not_there_has_no_say() -> None:
    """Sound alone: the one word that stands for all hears the frames; words alone: s̃ is learned."""
    system = made.build(made.plan("word_alignment", settings={"lacking": True}))
    given = made.conversation(system.design, 3, seed=4)
    mute, wordless = given.instead(1, {"audio": None}), given.instead(1, {"text": None})
    before = [systems.predict(system, one).probabilities[1] for one in (mute, wordless)]
    with torch.no_grad():
        system.unheard.add_(1.0)
    after = [systems.predict(system, one).probabilities[1] for one in (mute, wordless)]
    assert not np.allclose(before[0], after[0]) and np.array_equal(before[1], after[1])
    with torch.no_grad():
        system.unread.add_(1.0)
    last = [systems.predict(system, one).probabilities[1] for one in (mute, wordless)]
    assert np.array_equal(after[0], last[0]) and not np.allclose(after[1], last[1])
