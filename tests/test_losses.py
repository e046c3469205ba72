"""Losses against torch's own, and against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import turns_of_numbers as made
from torch.nn.functional import cross_entropy

from erc_demo import systems
from erc_demo.systems import Targets
from erc_demo.systems._losses import categories, dimensions

NAME = "iemocap4"
LOGITS = torch.randn((2, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([[0, 3, -1, 1, 1], [2, -1, -1, 0, 3]])
WEIGHTS = torch.tensor([1.0, 0.5, 3.0, 2.0], dtype=torch.float64)
KNOWN = LABELS >= 0


def test_cross_entropy_of_the_labelled_turns_is_torchs() -> None:
    targets = Targets(labels={NAME: LABELS})
    for per, how in ((None, "mean"), (4.0, "sum")):
        wanted = cross_entropy(LOGITS[KNOWN], LABELS[KNOWN], reduction=how) / (per or 1)
        torch.testing.assert_close(categories(LOGITS, targets, NAME, per), wanted)


def test_classes_are_weighed_as_torch_weighs_them() -> None:
    targets = Targets(labels={NAME: LABELS}, weights={NAME: WEIGHTS})
    for per, how in ((None, "mean"), (4.0, "sum")):
        wanted = cross_entropy(LOGITS[KNOWN], LABELS[KNOWN], WEIGHTS, reduction=how) / (per or 1)
        torch.testing.assert_close(categories(LOGITS, targets, NAME, per), wanted)


def test_votes_stand_before_labels_where_there_are_any() -> None:
    votes = torch.zeros((2, 5, 4), dtype=torch.float64)
    votes[0, 0] = torch.tensor([2 / 3, 1 / 3, 0.0, 0.0])
    votes[1, 1] = torch.tensor([0.0, 0.0, 1.0, 3.0])  # a turn without a label
    targets = Targets(labels={NAME: LABELS}, soft={NAME: votes})
    logs = LOGITS.log_softmax(dim=-1)
    rows = [
        -(2 / 3) * logs[0, 0, 0] - (1 / 3) * logs[0, 0, 1],
        -(1 / 4) * logs[1, 1, 2] - (3 / 4) * logs[1, 1, 3],
        *(-logs[at][LABELS[at]] for at in ((0, 1), (0, 3), (0, 4), (1, 0), (1, 3), (1, 4))),
    ]
    found = categories(LOGITS, targets, NAME, None)
    torch.testing.assert_close(found, torch.stack(rows).mean())
    assert torch.equal(targets.hard(NAME), LABELS)
    alone = Targets(soft={NAME: votes}).hard(NAME)
    assert alone.tolist() == [[0, -1, -1, -1, -1], [-1, 3, -1, -1, -1]]


def concordance(x: np.ndarray, y: np.ndarray) -> float:
    """Lin (1989), with numpy's own moments."""
    covariance = np.cov(x, y, bias=True)[0, 1]
    return float(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def rated() -> tuple[torch.Tensor, torch.Tensor]:
    """Values and ratings of two dimensions; some turns are not rated, on other turns each."""
    random = np.random.default_rng(1)
    values, wanted = random.standard_normal((2, 2, 6, 2))
    wanted[0, 2] = wanted[1, 4, 0] = np.nan
    return torch.as_tensor(values).requires_grad_(), torch.as_tensor(wanted)


def test_dimensions_are_scored_over_the_turns_that_were_rated() -> None:
    values, wanted = rated()
    columns = []
    for at in range(2):
        there = ~wanted[..., at].isnan()
        columns.append((values[..., at][there].detach().numpy(), wanted[..., at][there].numpy()))
    assert [len(x) for x, _ in columns] == [10, 11]
    ccc = np.mean([1 - concordance(x, y) for x, y in columns])
    mse = np.mean([((x - y) ** 2).mean() for x, y in columns])
    assert dimensions(values, wanted, "ccc", None).item() == pytest.approx(ccc, abs=1e-12)
    assert dimensions(values, wanted, "mse", None).item() == pytest.approx(mse, abs=1e-12)
    shares = [(1 - concordance(x, y)) * len(x) / 20 for x, y in columns]
    assert dimensions(values, wanted, "ccc", 20.0).item() == pytest.approx(np.mean(shares))
    sums = [((x - y) ** 2).sum() / 20 for x, y in columns]
    assert dimensions(values, wanted, "mse", 20.0).item() == pytest.approx(np.mean(sums))


@pytest.mark.parametrize("kind", ["ccc", "mse"])
def test_a_turn_that_nobody_rated_has_no_gradient_and_nothing_is_ever_nan(kind: str) -> None:
    values, wanted = rated()
    dimensions(values, wanted, kind, None).backward()
    assert values.grad is not None
    assert torch.equal(values.grad == 0, wanted.isnan())
    for few in (wanted * torch.nan, torch.where(torch.arange(6)[:, None] == 0, wanted, torch.nan)):
        for constant in (values.detach()[:1], torch.zeros((1, 6, 2), dtype=torch.float64)):
            moved = constant.clone().requires_grad_()
            loss = dimensions(moved, few[:1], kind, None)
            loss.backward()
            assert torch.isfinite(loss) and torch.isfinite(moved.grad).all()
            if kind == "ccc" or few.isnan().all():
                assert loss == 0  # one turn alone, or none, has no concordance


def test_perfect_and_reversed_concordance() -> None:
    wanted = torch.linspace(-1, 1, 7)[None, :, None]
    assert dimensions(wanted, wanted, "ccc", None).item() == pytest.approx(0, abs=1e-6)
    assert dimensions(-wanted, wanted, "ccc", None).item() == pytest.approx(2, abs=1e-6)


def test_half_precision_is_not_summed_in_half_precision() -> None:
    many = torch.zeros((1, 5000, 4), dtype=torch.bfloat16)
    loss = categories(many, Targets(labels={NAME: torch.zeros((1, 5000)).long()}), NAME, None)
    assert loss.item() == pytest.approx(np.log(4), rel=1e-5)


@pytest.mark.parametrize("kind", ["ccc", "mse"])
def test_a_systems_loss_is_that_of_all_its_heads(kind: str) -> None:
    """Each label set's and the dimensions', of the turns that can be answered."""
    sets = {"labels": ("iemocap4", "iemocap6"), "dimensions": ("valence", "arousal")}
    system = made.build(made.plan("ats_sagru", settings={"dimension_loss": kind}, **sets))
    given = made.conversation(system.design, 8, absent={3: ("audio", "text")})
    batch = systems.collate([given])
    wanted = made.targets(system.design, batch)
    for these in wanted.labels.values():
        these[0, 3] = 1
    wanted.values[0, 3] = 0.5
    output = system(batch)
    total = torch.zeros(())
    for name, logits in output.logits.items():
        labels = wanted.labels[name].clone()
        labels[0, 3] = -1
        total = total + cross_entropy(logits[0], labels[0], ignore_index=-1)
    ratings = wanted.values.clone()
    ratings[0, 3] = torch.nan
    total = total + dimensions(output.values, ratings, kind, None)
    torch.testing.assert_close(system.loss(output, batch, wanted), total)
