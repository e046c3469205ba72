"""iaan against its paper, one turn and one frame at a time, and the turns that it looks back at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import turns_of_numbers as made
from gru_by_hand import both_ways, gru, part, softmax

from erc_demo import systems
from erc_demo.errors import UserError
from erc_demo.systems import Conversation, System

VARIANTS = ("iaan", "iaa", "att", "random")
Found = dict[str, np.ndarray | None]


def earlier(speakers: str, place: int) -> tuple[int | None, int | None]:
    """Sec. 2.3.1: the previous turn of the current speaker, and of the other speaker."""
    own = other = None
    for at in range(place):
        if speakers[at] == speakers[place]:
            own = at
        else:
            other = at
    return own, other


def drawn(total: int, place: int) -> tuple[int | None, int | None]:
    """RandIAAN's two turns, from plain whole numbers."""
    others = [at for at in range(total) if at != place]
    found: list[int | None] = []
    for salt in (1, 2):
        if not others:
            found.append(None)
            continue
        number = (place * 4096 + total) * 4 + salt
        for _ in range(3):
            number = number * 2654435761 % 2**32
            number ^= number // 2**15
        found.append(others.pop(number % len(others)))
    return found[0], found[1]


def attended(weights: dict, states: np.ndarray, beside: np.ndarray) -> tuple:
    """Eq. 3 to 5 for one turn."""
    scores = [
        weights["score.weight"][0]
        @ np.tanh(weights["states.weight"] @ h + beside + weights["states.bias"])
        for h in states
    ]
    alpha = softmax(np.array(scores))
    return sum(a * h for a, h in zip(alpha, states, strict=True)), alpha


def literal(system: System, given: Conversation, place: int) -> tuple[dict[str, np.ndarray], Found]:
    """Logits by head and the frame weights of the three turns, Eq. 1 to 7."""
    weights = {key: value.numpy() for key, value in system.state_dict().items()}
    variant = system.config.variant

    def frames(at: int | None) -> np.ndarray | None:
        rows = None if at is None else given.rows["audio"][at]
        if rows is None:
            return None
        return (rows - weights["scales.audio.mean"]) * weights["scales.audio.scale"]

    total = len(given)
    pair = drawn(total, place) if variant == "random" else earlier(given.speakers, place)
    maps: Found = {}
    beside = np.zeros(system.config.width)
    vectors = []
    for role, at in zip(("own", "other"), pair, strict=True):
        if variant == "att":
            continue
        mine = part(weights, f"before.{role}.")
        rows = frames(at)
        if rows is None:
            vector, maps[role] = mine.get("nothing", np.zeros(system.config.width)), None
        else:
            states = gru(part(mine, "gru.ways.0."), rows)
            vector, maps[role] = attended(part(mine, "attention."), states, 0 * states[0])
        beside = beside + mine["into.weight"] @ vector  # W_p h_p + W_r h_r
        vectors.append(vector)
    states = both_ways(part(weights, "gru."), frames(place))  # (1, 2)
    h_c, maps["frames"] = attended(part(weights, "attention."), states, beside)
    joint = np.concatenate([h_c, *vectors]) if variant in ("iaan", "random") else h_c  # (6)
    hidden = weights["projection.weight"] @ joint + weights["projection.bias"]
    hidden = np.maximum(hidden, 0)
    heads = {
        key.removesuffix(".weight"): weights[key] @ hidden + weights[key[:-6] + "bias"]
        for key in weights
        if key.startswith("heads.") and key.endswith(".weight")
    }
    return heads, maps


def conversations(system: System) -> list[Conversation]:
    """One-sided starts, monologues, three people, two turns, one turn, turns without sound."""
    silent = {0: ["audio"], 4: ["audio"]}
    return [
        made.conversation(system.design, 8, seed=1, speakers="AAABABBA", absent=silent),
        made.conversation(system.design, 3, seed=2, speakers="CCC"),
        made.conversation(system.design, 7, seed=3, speakers="ABCABBC"),
        made.conversation(system.design, 2, seed=4, speakers="AB"),
        made.conversation(system.design, 1, seed=5),
    ]


@pytest.mark.parametrize("nothing", ["learned", "zeros"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_equals_its_equations(variant: str, nothing: str) -> None:
    design = made.plan(
        "iaan",
        settings={"variant": variant, "nothing": nothing},
        labels=("iemocap4", "iemocap6"),
        dimensions=("valence", "arousal"),
    )
    system = made.build(design).double()
    given = conversations(system)
    shifted = [replace(one, rows={"audio": tuple(
        None if rows is None else 3 * rows + 1 for rows in one.rows["audio"])})
        for one in given]  # fmt: skip
    system.fit_inputs(shifted)
    batch = systems.collate(shifted)
    batch.inputs = {name: rows.double() for name, rows in batch.inputs.items()}
    with torch.inference_mode():
        output = system(batch, True)
    flat = -1
    for row, one in enumerate(shifted):
        for place in range(len(one)):
            flat += 1
            if one.rows["audio"][place] is None:
                continue
            heads, maps = literal(system, one, place)
            for name, logits in output.logits.items():
                np.testing.assert_allclose(
                    logits[row, place], heads[f"heads.labels.{name}"], atol=1e-9
                )
            np.testing.assert_allclose(
                output.values[row, place], heads["heads.dimensions"], atol=1e-9
            )
            assert set(maps) == set(output.shown)
            for name, wanted in maps.items():
                whose = output.whose[name][flat] if name in output.whose else flat
                if wanted is None:
                    assert whose == -1
                    continue
                np.testing.assert_allclose(
                    output.shown[name][flat, : len(wanted)], wanted, atol=1e-9
                )
                assert len(wanted) == batch.lengths["audio"][whose]


@pytest.mark.parametrize(
    ("speakers", "own", "other"),
    [
        ("ABAB", [-1, -1, 0, 1], [-1, 0, 1, 2]),
        ("AAAB", [-1, 0, 1, -1], [-1, -1, -1, 2]),  # a one-sided start
        ("ABBBA", [-1, -1, 1, 2, 0], [-1, 0, 0, 0, 3]),
        ("AAAA", [-1, 0, 1, 2], [-1, -1, -1, -1]),  # a monologue
        ("ABCAB", [-1, -1, -1, 0, 1], [-1, 0, 1, 2, 3]),  # three people: the last of anyone else
        ("ABCCCA", [-1, -1, -1, 2, 3, 0], [-1, 0, 1, 1, 1, 4]),
        ("A", [-1], [-1]),
    ],
)
def test_the_turns_before(speakers: str, own: list[int], other: list[int]) -> None:
    """Worked by hand; two dialogues side by side do not see each other."""
    system = made.build(made.plan("iaan"))
    length = len(speakers)
    first = made.conversation(system.design, 3, speakers="ABA")
    second = made.conversation(system.design, length, seed=1, speakers=speakers)
    batch = systems.collate([first, second])
    with torch.inference_mode():
        output = system(batch, True)
    for role, wanted in (("own", own), ("other", other)):
        found = output.whose[role][3:].tolist()
        assert found == [at + 3 if at >= 0 else -1 for at in wanted]
    prediction = systems.predict(system, second)
    for at, (mine, theirs) in enumerate(zip(own, other, strict=True)):
        assert system.around(speakers, at) == sorted({mine, theirs, at} - {-1})
        for role, wanted in (("own", mine), ("other", theirs)):
            shown = prediction.map(role)
            assert (shown.values[at] is None) is (wanted < 0)
            assert shown.whose is None or shown.whose[at] == wanted
            if wanted >= 0:  # in the seconds of the recording where that turn was said
                moments = second.moments("audio", wanted)
                np.testing.assert_allclose(shown.at["frame"][at], moments)


def test_a_previous_turn_without_sound_is_as_none_at_all() -> None:
    system = made.build(made.plan("iaan"))
    given = made.conversation(system.design, 4, speakers="ABAB", absent={1: ["audio"]})
    found = systems.predict(system, given)
    assert found.map("own").values[3] is None and found.map("other").values[2] is None
    assert found.map("other").values[3] is not None
    assert found.why_not[1] and not found.why_not[3]


def test_turns_are_drawn_evenly_without_the_current_one_and_stay_the_same() -> None:
    system = made.build(made.plan("iaan", "RandIAAN"))
    counts = np.zeros((2, 9, 9))
    pairs = set()
    for total in range(3, 173):
        batch = systems.collate(
            [
                made.conversation(system.design, 4, size=1),
                made.conversation(system.design, total, size=1, seed=total),
            ]
        )
        first, second = (found[4:] for found in system._earlier(batch))
        place = torch.arange(4, 4 + total)
        assert (first >= 4).all() and (second >= 4).all()  # of its own conversation
        assert (first != place).all() and (second != place).all() and (first != second).all()
        again = system._earlier(systems.collate([made.conversation(system.design, total, size=1)]))
        assert torch.equal(again[0] + 4, first) and torch.equal(again[1] + 4, second)
        for role, these in enumerate((first, second)):
            at = (torch.arange(total) * 9 // total, (these - 4) * 9 // total)
            np.add.at(counts[role], (at[0].numpy(), at[1].numpy()), 1)
        pairs |= set(zip((first - place).tolist(), (second - place).tolist(), strict=True))
    share = counts / counts.sum(axis=(1, 2), keepdims=True)
    assert np.abs(share * 81 - 1).max() < 0.3  # ninths of a dialogue draw from each ninth
    assert len(pairs) > 8000  # of 14,705 draws


def test_forgetting_hides_previous_turns_in_training_only() -> None:
    plain = made.build(made.plan("iaan", settings={"dropout": 0.0}))
    system = made.build(made.plan("iaan", settings={"dropout": 0.0, "forget": 0.5}))
    given = made.conversation(system.design, 60, seed=2)
    batch = systems.collate([given])
    alone = [systems.collate([given.part([at])]) for at in range(60)]
    with torch.no_grad():
        wanted = plain(batch).logits["iemocap6"][0]
        hidden = torch.cat([plain(one).logits["iemocap6"][0] for one in alone])
        torch.testing.assert_close(system(batch).logits["iemocap6"][0], wanted)
        torch.manual_seed(0)
        found = system.train()(batch).logits["iemocap6"][0]
    kept = (found - wanted).abs().amax(dim=1) < 1e-5
    gone = (found - hidden).abs().amax(dim=1) < 1e-5
    assert 0.1 < kept.float().mean() < 0.45 and 0.1 < gone.float().mean() < 0.45


def test_published_sizes() -> None:
    system = systems.build(systems.design("iaan", widths={"audio": 45}, labels=("iemocap4",)))
    assert system.before["own"].gru.ways[0].hidden_size == 512
    assert len(system.before["own"].gru.ways) == 1
    assert [way.hidden_size for way in system.gru.ways] == [256, 256]
    assert tuple(system.projection.weight.shape) == (64, 3 * 512)
    assert system.dropout.p == 0.1
    embedded = systems.build(systems.design("iaan", widths={"audio": 90}, embedded=True))
    assert 2 * sum(one.numel() for one in embedded.parameters()) < 25e6  # bytes, half precision


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 15}, "width must be even"),
        ({"projection": 0}, "at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0; give a share"),
        ({"forget": -0.5}, "forget is -0.5; give a share"),
        ({"variant": "self"}, "one of iaan, iaa, att, random"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        made.build(made.plan("iaan", settings=settings))
