"""One contract for every system in the folder and every ablation of its paper.

The folder's listing is the list of cases: a new system is taken up with no edit here.
"""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import turns_of_numbers as made

from erc_demo import plugs, systems
from erc_demo.errors import UserError
from erc_demo.findings import Prediction
from erc_demo.systems import Conversation, Design, System, _answer
from erc_demo.systems._answer import WINDOW, windows


def _cases() -> list[tuple[str, str]]:
    """Each system as published, its paper's ablations, and every other choice of a setting."""
    found = []
    for name in systems.names():
        module = plugs.load(systems.PACKAGE, name)
        found += [(name, ""), *((name, one) for one in module.ABLATIONS)]
        covered = {item for one in module.ABLATIONS.values() for item in one.settings.items()}
        for one in fields(module.Config):
            for choice in one.metadata["choices"]:
                common = one.name in {each.name for each in fields(systems.Config)}
                if choice != one.default and (one.name, choice) not in covered and not common:
                    found.append((name, f"{one.name}={choice}"))
    return found


EACH = pytest.mark.parametrize("name", systems.names())
EVERY = pytest.mark.parametrize(("name", "ablation"), _cases())
ABLATED = [pytest.param(*one, marks=pytest.mark.slow if one[1] else ()) for one in _cases()]
BOTH = {"labels": ("iemocap6", "meld7"), "dimensions": ("valence", "arousal")}


def odd_ones(design: Design) -> list[Conversation]:
    """Conversations with one-sided starts, monologues, one turn, and turns that lack inputs."""
    names = list(design.inputs)
    absent = {at: names[at % len(names) : at % len(names) + 1] for at in (1, 4)} | {6: names}
    return [
        made.conversation(design, 9, seed=1, absent=absent),
        made.conversation(design, 5, seed=2, speakers="AAABA"),
        made.conversation(design, 1, seed=3),
        made.conversation(design, 4, seed=4, speakers="CCCC"),
        made.conversation(design, 6, seed=5, speakers="ABCABC"),
    ]


def close(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def said(system: System, conversation: Conversation, **how: bool) -> np.ndarray:
    """The probabilities of every turn, all label sets and dimensions beside each other."""
    parts = []
    for name in system.design.labels:
        found = systems.predict(system, conversation, labels=name, show=False, **how)
        parts.append(found.probabilities)
    return np.concatenate([*parts, found.values], axis=1)


@EACH
def test_it_says_what_it_is(name: str) -> None:
    module = plugs.load(systems.PACKAGE, name)
    assert module.ABOUT.endswith(".") and "\n" not in module.ABOUT
    assert module.PAPER.endswith(".") and len(module.__doc__) > 300
    assert all(one.metadata["help"] for one in fields(module.Config))
    assert set(module.EMBEDDED) <= {one.name for one in fields(module.Config)}
    assert set(module.SMALL) <= {one.name for one in fields(module.Config)}
    assert module.NEEDS and any(not need.extra for need in module.NEEDS.values())


@EACH
def test_published_and_embedded_designs_survive_json(name: str) -> None:
    for embedded in (False, True):
        widths = dict.fromkeys(plugs.load(systems.PACKAGE, name).NEEDS, 7)
        design = systems.design(name, widths=widths, embedded=embedded)
        assert Design.from_json(design.to_json()) == design
    with pytest.raises(UserError, match="no option 'colour'"):
        systems.design(name, widths=widths, settings={"colour": 1})
    with pytest.raises(UserError, match="has no ablation"):
        systems.design(name, widths=widths, ablation="nothing of the kind")


@EACH
def test_settings_that_make_no_sense_are_a_sentence(name: str) -> None:
    for one in fields(plugs.load(systems.PACKAGE, name).Config):
        wrong = {int: (0, -1), float: (-1.0, float("nan"))}.get(type(one.default), ())
        for value in (*wrong, 1.0) if one.name == "dropout" else wrong:
            with pytest.raises(UserError, match=f"{value:g}"):
                made.build(made.plan(name, settings={one.name: value}))


@EVERY
def test_it_answers_every_turn_that_it_can(name: str, ablation: str) -> None:
    design = made.plan(name, ablation, **BOTH)
    system = made.build(design)
    names = {one.name for one in system.shows}
    for conversation in odd_ones(design):
        found = systems.predict(system, conversation)
        assert isinstance(found, Prediction)  # which checks sums, finite numbers and maps itself
        assert {one.name for one in found.maps} == names
        for at in range(len(conversation)):
            able = system.enough(conversation.present(at))
            assert bool(found.why_not[at]) is not able
            assert (found.label(at) is not None) is able
        assert any(found.answered)
    shown = systems.predict(system, odd_ones(design)[0]).maps
    assert all(any(one is not None for one in each.values) for each in shown)


@EVERY
def test_padding_batch_mates_and_order_change_nothing(name: str, ablation: str) -> None:
    design = made.plan(name, ablation, **BOTH)
    system = made.build(design)
    given = odd_ones(design)
    alone = [systems.answer(system, [one])[0] for one in given]
    for order in (range(len(given)), reversed(range(len(given)))):
        order = list(order)
        batch = systems.collate([given[one] for one in order])
        with torch.inference_mode():
            output = system(batch)
            chances = system.probabilities(output, batch)
        for row, one in enumerate(order):
            asked = ~np.isnan(alone[one].values[:, 0])
            for each in design.labels:
                rows = chances[each][row, : len(given[one])].numpy()
                close(rows[asked], alone[one].probabilities[each][asked])
            rows = output.values[row, : len(given[one])].numpy()
            close(rows[asked], alone[one].values[asked])


@EVERY
def test_every_parameter_gets_a_gradient(name: str, ablation: str) -> None:
    design = made.plan(name, ablation, settings={"decode": "crf"}, **BOTH)
    system = made.build(design)
    batch = systems.collate(odd_ones(design))
    still = dict(system.named_parameters())
    for stage in system.stages:
        system.stage(stage)
        system.zero_grad()
        loss = system.loss(system(batch), batch, made.targets(design, batch))
        assert torch.isfinite(loss)
        loss.backward()
        for key, one in system.named_parameters():
            assert one.grad is None or torch.isfinite(one.grad).all(), key
            if one.grad is not None and one.grad.any():
                still.pop(key, None)
    assert set(still) == set(system.idle), "parameters without a gradient"


@EVERY
def test_no_parameter_lacks_a_gradient_whatever_a_batch_holds(name: str, ablation: str) -> None:
    """Processes that train together wait for each other's gradient of every parameter."""
    design = made.plan(name, ablation, settings={"decode": "crf"}, **BOTH)
    system = made.build(design)
    given = made.conversation(design, 1)
    for one in (given, given.without(*design.inputs)):
        batch = systems.collate([one])
        some = made.targets(design, batch, seed=1)
        for wanted in (systems.Targets(), systems.Targets(labels={"meld7": some.labels["meld7"]})):
            for stage in system.stages:
                system.stage(stage)
                system.zero_grad()
                system.loss(system(batch), batch, wanted).backward()
                for key, each in system.named_parameters():
                    assert (each.grad is not None) is each.requires_grad, key
                    assert each.grad is None or torch.isfinite(each.grad).all(), key


@EVERY
@pytest.mark.parametrize("decode", ["argmax", "crf"])
def test_the_losses_of_a_batchs_parts_sum_to_its_own(name: str, ablation: str, decode: str) -> None:
    """Several processes or several steps make one batch; a turn without inputs teaches nothing."""
    settings = {"decode": decode, "dimension_loss": "mse"}
    design = made.plan(name, ablation, settings=settings, **BOTH)
    system = made.build(design)
    given = odd_ones(design)
    batch = systems.collate(given)
    wanted = made.targets(design, batch)
    with torch.no_grad():
        whole = system.loss(system(batch), batch, wanted, per=17.0)
        parts = []
        for row, one in enumerate(given):
            alone = systems.collate([one])
            cut = systems.Targets(
                labels={key: of[row : row + 1, : len(one)] for key, of in wanted.labels.items()},
                values=wanted.values[row : row + 1, : len(one)],
            )
            parts.append(system.loss(system(alone), alone, cut, per=17.0))
        torch.testing.assert_close(torch.stack(parts).sum(), whole, rtol=1e-4, atol=1e-5)
        bare = batch.mask & ~torch.stack(list(batch.present.values())).any(dim=0)
        assert bare.any() and not (system.able(batch) & bare).any()
        for these in wanted.labels.values():
            these[bare] = 0
        torch.testing.assert_close(system.loss(system(batch), batch, wanted, per=17.0), whole)


@EVERY
def test_a_turn_depends_on_the_turns_it_says_and_no_others(name: str, ablation: str) -> None:
    design = made.plan(name, ablation, **BOTH)
    system = made.build(design)
    given = made.conversation(design, 8, seed=7, speakers="ABBAABAB")
    other = made.conversation(design, 8, seed=8, speakers="ABBAABAB")
    before = systems.answer(system, [given])[0]
    moved = False
    for changed in range(len(given)):
        rows = {one: these[changed] for one, these in other.rows.items()}
        after = systems.answer(system, [given.instead(changed, rows)])[0]
        for at in range(len(given)):
            around = system.around(given.speakers, at)
            for each in design.labels:
                one, two = before.probabilities[each][at], after.probabilities[each][at]
                if around is not None and changed not in around:
                    close(one, two)
                elif changed != at:
                    moved = moved or np.abs(one - two).max() > 1e-7
                else:
                    assert np.abs(one - two).max() > 1e-7, "blind to its own turn"
    contextual = any(
        around is None or len(around) > 1
        for around in (system.around(given.speakers, at) for at in range(len(given)))
    )
    assert moved == contextual


@EVERY
@pytest.mark.parametrize("decode", ["argmax", "crf"])
def test_without_hindsight_nothing_later_counts(name: str, ablation: str, decode: str) -> None:
    design = made.plan(name, ablation, settings={"decode": decode})
    system = made.build(design)
    given = made.conversation(design, 7, seed=9)
    told = said(system, given, hindsight=False)
    for last in (0, 3, 6):
        cut = given.part(range(last + 1))
        close(said(system, cut, hindsight=False)[last], told[last])
        close(said(system, cut)[last], told[last])  # with nothing after it, hindsight is nothing


@EVERY
def test_missing_inputs(name: str, ablation: str) -> None:
    design = made.plan(name, ablation)
    system = made.build(design)
    given = made.conversation(design, 5, seed=10, speakers="ABABB")
    names = list(design.inputs)
    assert system.enough(frozenset(names))
    for count in range(len(names) + 1):
        for dropped in itertools.combinations(names, count):
            found = systems.predict(system, given.without(*dropped))
            able = system.enough(frozenset(names) - set(dropped))
            assert found.answered.all() if able else not found.answered.any()
            if not able:
                assert found.why_not[0].endswith(".") and name in found.why_not[0]


@EVERY
def test_the_longest_windows_agree_with_the_whole(name: str, ablation: str) -> None:
    design = made.plan(name, ablation)
    system = made.build(design)
    given = made.conversation(design, 150, seed=11, size=2)
    whole = systems.answer(system, [given])[0].probabilities["iemocap6"]
    close(said(system, given), whole)
    parts = systems.views(system, made.conversation(design, 3 * WINDOW, seed=12, size=1))
    asked = sorted(one.places[at] for one in parts for at in np.flatnonzero(one.targets))
    assert asked == list(range(3 * WINDOW))
    assert max(len(one) for one in parts) <= WINDOW
    assert sum(len(one) for one in parts) <= 3 * 3 * WINDOW  # linear, whatever it looks at


@EACH
def test_with_a_chain_every_turn_hangs_on_the_whole_conversation(name: str) -> None:
    design = made.plan(name, settings={"decode": "crf"})
    system = made.build(design)
    given = made.conversation(design, _answer.CHUNK + 6, seed=13, size=2)
    close(said(system, given), systems.answer(system, [given])[0].probabilities["iemocap6"])
    (whole,) = systems.views(system, given)
    assert len(whole) == len(given)


@EACH
def test_dropout_is_as_set_and_in_training_only(name: str) -> None:
    design = made.plan(name, embedded=True, settings={"dropout": 0.5})
    system = made.build(design)
    layers = [one for one in system.modules() if isinstance(one, torch.nn.Dropout)]
    assert layers and all(one.p == 0.5 for one in layers)
    batch = systems.collate([made.conversation(design, 9)])
    with torch.no_grad():
        plain, again = (system(batch).logits["iemocap6"] for _ in range(2))
        assert torch.equal(plain, again)
        system.train()
        one, other = (system(batch).logits["iemocap6"] for _ in range(2))
    assert not torch.equal(one, other)


@EACH
def test_training_in_half_precision_differs_in_digits_only(name: str) -> None:
    design = made.plan(name, settings={"decode": "crf"}, **BOTH)
    system = made.build(design)
    given = odd_ones(design)
    batch = systems.collate(given)
    wanted = made.targets(design, batch)
    with torch.autocast("cpu", torch.bfloat16):
        output = system(batch)
    loss = system.loss(output, batch, wanted)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(torch.isfinite(one.grad).all() for one in system.parameters())
    whole = system.loss(system(batch), batch, wanted)
    assert loss.item() == pytest.approx(whole.item(), rel=0.02)
    plain = [said(system, one) for one in given]
    with torch.autocast("cpu", torch.bfloat16):  # answers and maps don't hang on it
        for one, numbers in zip(given, plain, strict=True):
            systems.predict(system, one)
            np.testing.assert_array_equal(said(system, one), numbers)


@EACH
def test_votes_teach_also_where_no_label_is_given(name: str) -> None:
    """A chain takes the likeliest, other systems the votes as they are."""
    for decode in ("argmax", "crf"):
        system = made.build(made.plan(name, settings={"decode": decode}))
        batch = systems.collate([made.conversation(system.design, 4)])
        labels = torch.tensor([[2, -1, 0, 5]])
        votes = torch.nn.functional.one_hot(labels.clamp(min=0), 6) * (labels >= 0).unsqueeze(-1)
        output = system(batch)
        hard = system.loss(output, batch, systems.Targets(labels={"iemocap6": labels}))
        soft = system.loss(output, batch, systems.Targets(soft={"iemocap6": 3.0 * votes}))
        assert hard > 0
        torch.testing.assert_close(soft, hard)


@EACH
def test_a_batch_moves_whole(name: str) -> None:
    design = made.plan(name)
    batch = systems.collate([made.conversation(design, 3)])
    moved = batch.to("meta")
    held = [getattr(moved, one) for one in batch.__slots__]
    held += [each for one in held if isinstance(one, dict) for each in one.values()]
    tensors = [one for one in held if isinstance(one, torch.Tensor)]
    assert len(tensors) >= 6 + 2 * len(design.inputs)
    assert all(one.is_meta for one in tensors) and moved.steps == batch.steps


@EACH
def test_it_learns_two_small_dialogues_by_heart(name: str) -> None:
    torch.manual_seed(0)
    design = made.plan(name, labels=("iemocap4",), dimensions=("valence",))
    system = made.build(design)
    given = [made.conversation(design, 6, seed=one, size=3) for one in (20, 21)]
    batch = systems.collate(given)
    wanted = made.targets(design, batch)
    known = wanted.labels["iemocap4"] >= 0
    for stage in system.stages:
        system.stage(stage)
        learned = [one for one in system.parameters() if one.requires_grad]
        optimiser = torch.optim.Adam(learned, lr=0.01)
        for _ in range(150):
            optimiser.zero_grad()
            system.loss(system(batch), batch, wanted).backward()
            optimiser.step()
    with torch.no_grad():
        output = system(batch)
        answers = system.probabilities(output, batch)["iemocap4"].argmax(dim=-1)
    assert (answers == wanted.labels["iemocap4"])[known].all()
    x, y = output.values[..., 0][known], wanted.values[..., 0][known]
    assert torch.corrcoef(torch.stack([x, y]))[0, 1] > 0.9


@EACH
def test_weights_come_from_the_seed_and_survive_a_file(name: str) -> None:
    design = made.plan(name)
    state = torch.random.get_rng_state()
    one, same, other = (systems.build(design, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state), "building drew from the caller's seed"
    keys = one.state_dict()
    assert all(torch.equal(keys[key], value) for key, value in same.state_dict().items())
    assert any(not torch.equal(keys[key], value) for key, value in other.state_dict().items())
    other.load_state_dict(keys, strict=True)
    given = made.conversation(design, 4)
    close(said(one, given), said(other, given))


@EACH
def test_scales_are_learned_from_the_training_part(name: str) -> None:
    design = made.plan(name)
    system = made.build(design)
    given = made.conversation(design, 12, seed=30)
    rows = {
        one: tuple(
            row if system.design.module.NEEDS[one].level == "token" else 1000 * row + 500
            for row in these
        )
        for one, these in given.rows.items()
    }
    far = replace(given, rows=rows)
    fitted = made.build(design)
    fitted.fit_inputs([given])
    moved = made.build(design)
    moved.fit_inputs([far])
    np.testing.assert_allclose(said(fitted, given), said(moved, far), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("name", "ablation"), ABLATED)
def test_it_compiles_without_a_break(name: str, ablation: str) -> None:
    design = made.plan(name, ablation)
    system = made.build(design)
    batch = systems.collate(odd_ones(design)[:2])
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True), torch.inference_mode():
        compiled = torch.compile(system, backend="eager", fullgraph=True)
        found, wanted = compiled(batch).logits["iemocap6"], system(batch).logits["iemocap6"]
    close(found[batch.mask].numpy(), wanted[batch.mask].numpy())


def test_windows_cover_every_turn_once() -> None:
    for total in (0, 1, WINDOW, WINDOW + 1, 300, 1000):
        found = windows(total)
        answered = [at for _, _, first, last in found for at in range(first, last)]
        assert answered == list(range(total))
        for start, end, first, last in found:
            assert 0 <= start <= first <= last <= end <= total and end - start <= WINDOW
            quarter = WINDOW // 4
            assert first == 0 or first - start >= quarter - 1
            assert last == total or end - last >= quarter - 1


def test_a_system_may_look_some_turns_ahead_or_at_all_turns_for_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = made.build(made.plan("ats_sagru"))
    given = made.conversation(system.design, 4)

    def ahead(_: System, speakers: tuple[str, ...], place: int) -> range:
        return range(max(0, place - 1), min(len(speakers), place + 2))

    def some(_: System, speakers: tuple[str, ...], place: int) -> list[int] | None:
        return [place] if place else None

    monkeypatch.setattr(type(system), "around", ahead)
    (whole,) = systems.views(system, given)
    assert whole.places == (0, 1, 2, 3) and whole.targets.all()
    then = systems.views(system, given, hindsight=False)
    assert [one.places for one in then] == [(0,), (0, 1), (1, 2), (2, 3)]
    assert all(one.targets[-1] and one.targets.sum() == 1 for one in then)
    monkeypatch.setattr(type(system), "around", some)
    (whole,) = systems.views(system, given)
    assert whole.places == (0, 1, 2, 3) and whole.targets.all()


def test_batches_stay_small_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    system = made.build(made.plan("iaan"))
    given = [made.conversation(system.design, turns, seed=turns) for turns in (9, 1, 3, 9, 2, 5)]
    together = systems.answer(system, given)
    sizes: list[int] = []
    run = system.run

    def watched(batch: systems.Batch, show: bool) -> systems.Output:
        rows = batch.inputs["audio"]
        sizes.append(len(batch.mask) if rows.numel() > 1500 else 1)
        return run(batch, show)

    monkeypatch.setattr(system, "run", watched)
    monkeypatch.setattr(_answer, "BUDGET", 1500)
    apart = systems.answer(system, given)
    assert len(sizes) > 1 and set(sizes) == {1}  # what is over the budget is alone
    for one, other in zip(together, apart, strict=True):
        close(one.probabilities["iemocap6"], other.probabilities["iemocap6"])


def test_an_unknown_system_lists_the_known() -> None:
    with pytest.raises(UserError, match="ats_sagru"):
        systems.design("atsgru", widths={})


@EACH
def test_features_of_another_level_or_width_are_a_sentence(name: str) -> None:
    design = made.plan(name)
    given = made.conversation(design, 3)
    for change in (
        {"widths": {one: width + 1 for one, width in given.widths.items()}},
        {
            "levels": {
                one: "utterance" if level != "utterance" else "word"
                for one, level in given.levels.items()
            }
        },
    ):
        with pytest.raises(UserError, match=f"{name} wants .* as its input"):
            systems.predict(made.build(design), replace(given, **change))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reads": {"audio": "frames45"}}, "audio are 'frames45', and a list of names was wanted"),
        ({"reads": {"audio": [1]}}, r"audio are \[1\], and a list"),
        ({"reads": {}}, "given no input .it has audio"),
        ({"labels": "iemocap6"}, "labels are 'iemocap6', and a list"),
        ({"dimensions": "valence"}, "dimensions are 'valence', and a list"),
    ],
)
def test_a_design_that_means_nothing_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        systems.design("iaan", widths={"audio": 3}, **changes)


def test_a_turn_that_nobody_asked_for_is_not_answered() -> None:
    design = made.plan("ats_sagru")
    given = made.conversation(design, 3)
    given = replace(given, targets=np.array([True, False, True]))
    said = systems.predict(made.build(design), given)
    assert said.why_not == ("", "This turn was not asked for.", "")
