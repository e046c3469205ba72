"""late_fusion against its paper, one turn, word, filter and label at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import turns_of_numbers as made
from gru_by_hand import part, softmax
from lstm_by_hand import lstm
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.preprocessing import MinMaxScaler
from torch.nn.functional import cross_entropy

from erc_demo import systems
from erc_demo.errors import UserError
from erc_demo.systems import Conversation, System, Targets
from erc_demo.systems._selected import Selected
from erc_demo.systems.late_fusion import fuse

ROWS = ("", "CNN", "LSTM", "early", "late-I", "late-II")  # of Table 2; III is the system itself
SIX = {"labels": ("iemocap6", "meld7"), "dimensions": ("valence", "arousal")}
ABSENT = {1: ("audio",), 3: ("text",), 4: ("audio", "text")}
Said = dict[str, np.ndarray]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def dense(weights: dict, x: np.ndarray, sets: tuple[str, ...]) -> Said:
    """Two dense layers, then posteriors of each label set, and the dimensions."""
    x = relu(weights["wide.weight"] @ x + weights["wide.bias"])
    x = relu(weights["narrow.weight"] @ x + weights["narrow.bias"])
    found = {
        name: softmax(
            weights[f"heads.labels.{name}.weight"] @ x + weights[f"heads.labels.{name}.bias"]
        )
        for name in sets
    }
    found["values"] = weights["heads.dimensions.weight"] @ x + weights["heads.dimensions.bias"]
    return found


def convolution(weight: np.ndarray, bias: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n, width) → (n, filters), ReLU; zeros stand beyond both ends, one more behind if odd."""
    reach = weight.shape[2]
    found = np.zeros((len(rows), len(weight)))
    for at in range(len(rows)):
        for one in range(len(weight)):
            total = bias[one]
            for step in range(reach):
                place = at - (reach - 1) // 2 + step
                if 0 <= place < len(rows):
                    total += weight[one, :, step] @ rows[place]
            found[at, one] = max(0.0, total)
    return found


def pooled(rows: np.ndarray) -> np.ndarray:
    return np.array([rows[2 * at : 2 * at + 2].max(axis=0) for at in range(len(rows) // 2)])


def text_branch(weights: dict, words: np.ndarray, system: System) -> tuple[np.ndarray, Said]:
    """Section 2: T, and what the LSTM says."""
    maps = np.concatenate(
        [
            convolution(weights[f"filters.{one}.1.weight"], weights[f"filters.{one}.1.bias"], words)
            for one in range(3)
        ],
        axis=1,
    )
    t = relu(weights["project.weight"] @ maps.max(axis=0) + weights["project.bias"])
    words = np.array(
        [relu(weights["project.weight"] @ one + weights["project.bias"]) for one in maps]
    )
    steps = {"units": t[:, None], "once": t[None], "words": words}[system.config.lstm_over]
    state = lstm(part(weights, "lstm.ways.0."), steps)[-1]
    return t, dense(part(weights, "dense."), state, system.design.labels)


def cnn(weights: dict, u: np.ndarray, system: System) -> Said:
    """Section 3.2 on one vector."""
    maps = pooled(convolution(weights["first.weight"], weights["first.bias"], u[:, None]))
    maps = pooled(convolution(weights["second.weight"], weights["second.bias"], maps))
    flat = np.array([maps[at, one] for one in range(maps.shape[1]) for at in range(len(maps))])
    return dense(part(weights, "dense."), flat, system.design.labels)


def combined(text: np.ndarray, joint: np.ndarray, rule: str) -> np.ndarray:
    """Eq. 2, 3 with the printed weights, and 4."""
    if rule == "mean":
        return (text + joint) / 2
    if rule == "weighted":
        return 0.3 * text + 0.7 * joint
    return np.array([t * j / sum(text * joint) for t, j in zip(text, joint, strict=True)])


def literal(system: System, given: Conversation, at: int) -> tuple[dict[str, Said], Said] | None:
    """What each branch says of a turn, and the answer; None where there is none."""
    weights = {key: value.numpy() for key, value in system.state_dict().items()}
    rule, said = system.config.fusion, {}
    audio = given.rows["audio"][at] if "audio" in given.rows else None
    text = given.rows["text"][at] if "text" in given.rows else None
    if audio is not None:
        scale = part(weights, "scales.audio.")
        audio = np.clip((audio[0] - scale["low"]) * scale["scale"], 0, 1)[scale["columns"]]
    if text is not None:
        text = (text - weights["scales.text.mean"]) * weights["scales.text.scale"]
        t, said["text"] = text_branch(part(weights, "text."), text, system)
    if rule == "audio" and audio is not None:
        said["audio"] = cnn(part(weights, "audio."), audio, system)
    elif rule != "text" and audio is not None and text is not None:
        joint = part(weights, "joint.")
        u_d = np.tanh(joint["early.weight"] @ np.concatenate([t, audio]) + joint["early.bias"])  # 1
        said["joint"] = cnn(joint, u_d, system)
    single = {"audio": "audio", "text": "text", "early": "joint"}.get(rule)
    if single:
        return (said, said[single]) if single in said else None
    if "joint" not in said:
        return (said, said["text"]) if "text" in said else None
    mixed = {name: combined(said["text"][name], said["joint"][name], rule)
             for name in system.design.labels}  # fmt: skip
    mixed["values"] = combined(
        said["text"]["values"],
        said["joint"]["values"],
        "weighted" if rule == "weighted" else "mean",
    )
    return said, mixed


def fitted(ablation: str = "", **changes: object) -> tuple[System, Conversation]:
    """A system that chose five of the voice's six columns, and turns of which some lack inputs."""
    settings = {"select": 5, **changes.pop("settings", {})}  # type: ignore[dict-item]
    design = made.plan("late_fusion", ablation, settings=settings, **{**SIX, **changes})
    system = made.build(design)
    past = made.conversation(design, 20, seed=1)
    system.fit_inputs([past], [np.random.default_rng(0).integers(-1, 3, 20)])
    absent = {at: [one for one in these if one in design.inputs] for at, these in ABSENT.items()}
    return system, made.conversation(design, 6, seed=2, absent=absent, size=7)


@pytest.mark.parametrize("lstm_over", ["units", "words", "once"])
@pytest.mark.parametrize("row", ROWS)
def test_it_equals_the_paper_written_out(row: str, lstm_over: str) -> None:
    system, given = fitted(row, settings={"lstm_over": lstm_over})
    answers = 0
    for name in SIX["labels"]:
        found = systems.predict(system, given, labels=name)
        for at in range(len(given)):
            wanted = literal(system, given, at)
            assert (wanted is None) is bool(found.why_not[at])
            if wanted is None:
                continue
            answers += 1
            said, answer = wanted
            np.testing.assert_allclose(found.probabilities[at], answer[name], atol=1e-5)
            np.testing.assert_allclose(found.values[at], answer["values"], atol=1e-5)
            shown = found.map("branches")
            silent = row in ("", "late-I", "late-II") and "joint" not in said
            assert (shown.values[at] is None) is silent
            if name == "iemocap6" and not silent:
                for branch, value in zip(shown.names["branch"], shown.values[at], strict=True):
                    there = answer if branch == "fused" else said[branch]
                    np.testing.assert_allclose(value, there[name], atol=1e-5)
    assert answers >= 6


TEXT, JOINT = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.6, 0.2])


def by_rule(rule: str, weight: float, text: np.ndarray = TEXT, joint: np.ndarray = JOINT) -> list:
    logits = [torch.as_tensor(one).log() + 7 for one in (text, joint)]  # a softmax takes off the 7
    return fuse(*logits, rule, torch.tensor(weight, dtype=torch.float64)).exp().tolist()


def test_rules_on_numbers_worked_by_hand() -> None:
    assert by_rule("product", 0.5) == pytest.approx([0.10 / 0.32, 0.18 / 0.32, 0.04 / 0.32])
    assert by_rule("mean", 0.5) == pytest.approx([0.35, 0.45, 0.20])
    assert by_rule("weighted", 0.3) == pytest.approx([0.29, 0.51, 0.20])
    assert by_rule("weighted", 0.0) == pytest.approx(JOINT)
    assert by_rule("weighted", 1.0) == pytest.approx(TEXT)


def test_the_printed_odds_name_the_same_label_as_the_normalised_product() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        text, joint = random.dirichlet(np.ones(6)), random.dirichlet(np.ones(6))
        both = text * joint
        printed = [both[j] / sum(both[k] for k in range(6) if k != j) for j in range(6)]
        likely = np.array(by_rule("product", 0.5, text, joint))
        assert np.argmax(printed) == likely.argmax()
        np.testing.assert_allclose(printed, likely / (1 - likely), rtol=1e-9)


@pytest.mark.parametrize("turns", [40, 12])  # more and fewer than the 20 columns
def test_selection_is_that_of_a_ridge_classifier(turns: int) -> None:
    random = np.random.default_rng(turns)
    rows = (random.standard_normal((turns + 3, 20)) * random.uniform(1, 1000, 20)).astype("f4")
    rows[:, 7] = 3.0  # never moves
    labels = np.append(np.arange(turns) % 4, [-1, -1, -1])
    chosen = Selected(20, 6)
    chosen.fit(rows, labels, penalty=0.5)
    scale = MinMaxScaler().fit(rows)
    x, y = scale.transform(rows)[:turns], labels[:turns]
    for model, wanted in (
        (Ridge(alpha=0.5), np.eye(4)[y]),
        (RidgeClassifier(alpha=0.5), y),  # whose columns are ±1: the same order
    ):
        norms = np.linalg.norm(model.fit(x, wanted).coef_, axis=0)
        assert chosen.columns.tolist() == sorted(np.argsort(-norms)[:6])
    new = rows[:turns] * 0.9
    expected = np.clip(scale.transform(new), 0, 1)
    expected[:, 7] = 0
    found = chosen(torch.as_tensor(new)).numpy()
    np.testing.assert_allclose(found, expected[:, chosen.columns.numpy()], atol=1e-5)
    outside = chosen(torch.as_tensor(rows.max(axis=0) * 2 + 5000)).numpy()
    assert set(outside.tolist()) <= {0.0, 1.0}


def test_nothing_is_chosen_where_all_columns_fit() -> None:
    chosen = Selected(4, 100)
    rows = np.arange(12, dtype="f4").reshape(3, 4)
    chosen.fit(rows, np.full(3, -1), penalty=1.0)  # no label is asked for
    assert chosen.columns.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(chosen(torch.as_tensor(rows))[1], [0.5] * 4)


def test_columns_are_not_chosen_without_labels() -> None:
    design = made.plan("late_fusion", settings={"select": 3})
    system = made.build(design)
    given = made.conversation(design, 6)
    for labels in (None, [None], [np.array([2, 2, -1, -1, 2, 2])]):
        with pytest.raises(UserError, match="set select to 6"):
            system.fit_inputs([given], labels)


def test_once_never_trains_the_recurrent_weights() -> None:
    system, given = fitted(settings={"lstm_over": "once"})
    before = {key: one.clone() for key, one in system.state_dict().items()}
    learn(system, given, steps=3)
    assert system.idle == {"text.lstm.ways.0.weight_hh_l0"}
    names = {key for key, _ in system.named_parameters()}
    after = system.state_dict()
    assert {key for key in names if torch.equal(before[key], after[key])} == system.idle
    assert not fitted(settings={"lstm_over": "words"})[0].idle


def learn(system: System, given: Conversation, steps: int = 1) -> None:
    batch = systems.collate([given])
    wanted = made.targets(system.design, batch)
    for stage in system.stages:
        system.stage(stage)
        free = [one for one in system.parameters() if one.requires_grad]
        optimiser = torch.optim.Adam(free, lr=0.05)
        for _ in range(steps):
            optimiser.zero_grad()
            system.loss(system(batch), batch, wanted).backward()
            optimiser.step()


def test_each_stage_trains_its_branch_and_leaves_the_other() -> None:
    system, given = fitted()
    assert system.stages == ("text", "joint")
    batch = systems.collate([given])
    wanted = made.targets(system.design, batch)
    for stage, other in (("text", "joint"), ("joint", "text")):
        system.stage(stage)
        system.zero_grad()
        system.loss(system(batch), batch, wanted).backward()
        for key, one in system.named_parameters():
            assert (one.grad is not None) is key.startswith(stage), key
            assert not (key.startswith(other) and one.requires_grad)
    fresh, _ = fitted()
    fresh.loss(fresh(batch), batch, wanted).backward()
    assert all(one.grad is not None for one in fresh.parameters())  # no stage: both branches
    assert fitted("LSTM")[0].stages == ("text",) and fitted("CNN")[0].stages == ("audio",)


def test_a_branch_that_has_not_learned_yet_has_no_say_in_the_answer() -> None:
    system, given = fitted()
    batch = systems.collate([given])
    whole = system.run(batch, False)
    system.stage("text")
    first, name = system.run(batch, False), system.design.labels[0]
    alone = whole.said["text"].logits[name].softmax(-1)
    able = system.able(batch)[0]
    assert torch.allclose(first.logits[name].softmax(-1)[0][able], alone[0][able])
    assert not torch.allclose(whole.logits[name].softmax(-1)[0][able], alone[0][able])
    system.stage("joint")
    assert torch.equal(system.run(batch, False).logits[name], whole.logits[name])


def test_the_joint_loss_never_reaches_the_textual_vector() -> None:
    system, given = fitted()
    batch = systems.collate([given])
    wanted = made.targets(system.design, batch)
    system.loss(system(batch), batch, wanted).backward()
    both = {key: one.grad.clone() for key, one in system.text.named_parameters()}
    system.stage("text")
    system.zero_grad()
    system.loss(system(batch), batch, wanted).backward()
    for key, one in system.text.named_parameters():
        torch.testing.assert_close(one.grad, both[key])


def test_the_loss_is_each_branchs_own_over_the_turns_that_have_its_inputs() -> None:
    system, given = fitted(labels=("iemocap6",), dimensions=())
    batch = systems.collate([given])
    labels = torch.tensor([[2, 5, 1, 0, 3, 4]])
    output = system(batch)
    found = system.loss(output, batch, Targets(labels={"iemocap6": labels}))
    text, joint = (output.said[one].logits["iemocap6"][0] for one in ("text", "joint"))
    worded, heard = torch.tensor([0, 1, 2, 5]), torch.tensor([0, 2, 5])  # ABSENT
    wanted = cross_entropy(text[worded], labels[0, worded])
    wanted = wanted + cross_entropy(joint[heard], labels[0, heard])
    torch.testing.assert_close(found, wanted)
    soft = torch.eye(6)[labels]
    again = system.loss(output, batch, Targets(soft={"iemocap6": soft}), per=2.0)
    sums = cross_entropy(text[worded], labels[0, worded], reduction="sum")
    sums = sums + cross_entropy(joint[heard], labels[0, heard], reduction="sum")
    torch.testing.assert_close(again, sums / 2)


def test_a_chain_learns_on_the_answer_and_leaves_the_branches() -> None:
    plain, given = fitted()
    chained, _ = fitted(settings={"decode": "crf"})
    chained.load_state_dict(plain.state_dict(), strict=False)
    batch = systems.collate([given])
    wanted = made.targets(plain.design, batch)
    for system in (plain, chained):
        system.loss(system(batch), batch, wanted).backward()
    grads = dict(plain.named_parameters())
    for key, one in chained.named_parameters():
        if key.startswith("chains"):
            assert one.grad.any()
        else:
            torch.testing.assert_close(one.grad, grads[key].grad)


def test_without_a_voice_the_text_branch_answers_and_without_words_nobody() -> None:
    system, given = fitted()
    whole = made.conversation(system.design, 4, seed=5)
    mute = systems.predict(system, whole.without("audio"))
    assert mute.answered.all()
    rows = systems.predict(system, whole).map("branches").values
    np.testing.assert_allclose(mute.probabilities, [row[0] for row in rows], atol=1e-6)
    assert not systems.predict(system, whole.without("text")).answered.any()
    early, _ = fitted("early")
    assert early.choices() == "audio + text" and system.choices() == "text"


def test_the_weight_is_fitted_where_it_is_asked_for() -> None:
    system, given = fitted("late-II", settings={"weights": "fit"}, labels=("iemocap6",))
    said = system(systems.collate([given])).said
    best = {one: said[one].logits["iemocap6"][0].argmax(dim=-1).numpy() for one in said}
    heard = np.isin(np.arange(6), [0, 2, 5])
    assert (best["text"] != best["joint"])[heard].any()
    for branch, reach in (("text", lambda w: w > 0.3), ("joint", lambda w: w < 0.7)):
        system.text_weight.fill_(0.5)
        other = best["joint" if branch == "text" else "text"]  # right where nothing is fused
        many = [np.where(heard, best[branch], -1), *[np.where(heard, -1, other)] * 9]
        system.fit_held_out([given] * 10, many)
        assert reach(float(system.text_weight))
        found = systems.predict(system, given).probabilities[heard].argmax(axis=1)
        assert (found == best[branch][heard]).all()
    system.fit_held_out([given], [np.full(6, -1)])  # all w1 are as good: the printed one
    assert float(system.text_weight) == pytest.approx(0.3)
    kept, _ = fitted("late-II")
    kept.text_weight.fill_(0.25)
    kept.fit_held_out([given], [np.zeros(6, int)])
    assert float(kept.text_weight) == 0.25


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="text_weight is 1.5; a number from 0 to 1"):
        made.build(made.plan("late_fusion", settings={"text_weight": 1.5}))
    with pytest.raises(UserError, match="has no audio; add that input"):
        made.build(made.plan("late_fusion", reads={"text": ("static",)}))
    with pytest.raises(UserError, match="reads 3 numbers"):
        made.build(made.plan("late_fusion", "CNN", settings={"select": 3}))


def test_sizes_are_the_printed_ones() -> None:
    design = systems.design("late_fusion", widths={"audio": 6373, "text": 300})
    shapes = {key: tuple(one.shape) for key, one in systems.build(design).named_parameters()}
    assert shapes["text.filters.1.1.weight"] == (64, 300, 4)
    assert shapes["text.project.weight"] == (100, 192)
    assert shapes["text.lstm.ways.0.weight_hh_l0"] == (4 * 128, 128)
    assert shapes["joint.early.weight"] == (200, 200)
    assert shapes["joint.second.weight"] == (128, 128, 5)
    assert shapes["joint.dense.wide.weight"] == (512, 128 * 50)
    assert shapes["joint.dense.narrow.weight"] == (128, 512)
    narrower = replace(design, labels=("iemocap4",))
    assert systems.build(narrower).joint.dense.heads.labels["iemocap4"].weight.shape == (4, 128)
