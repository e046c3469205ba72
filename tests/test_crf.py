"""The chain over a conversation against the sum over every path of labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import turns_of_numbers as made

from erc_demo import systems
from erc_demo.systems._crf import Chain

LABELS = 3
LENGTHS = (5, 1, 3, 4)
SPEAKERS = ("AABBA", "A", "ABC", "AAAA")


def drawn(seed: int = 0) -> tuple[Chain, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A chain, logits with large numbers on the padding, the mask and who goes on speaking."""
    generator = torch.Generator().manual_seed(seed)
    chain = Chain(LABELS).double()
    for one in chain.parameters():
        one.data = 2 * torch.randn(one.shape, generator=generator, dtype=torch.float64)
    shape = (len(LENGTHS), max(LENGTHS))
    logits = 2 * torch.randn((*shape, LABELS), generator=generator, dtype=torch.float64)
    mask = torch.arange(shape[1]) < torch.tensor(LENGTHS).unsqueeze(1)
    logits[~mask] = 50.0
    same = torch.zeros((shape[0], shape[1] - 1), dtype=torch.bool)
    for row, speakers in enumerate(SPEAKERS):
        for at in range(1, len(speakers)):
            same[row, at - 1] = speakers[at] == speakers[at - 1]
    same |= ~mask[:, 1:]  # as Batch has it: -1 equals -1 on the padding
    return chain, logits.requires_grad_(), mask, same


def paths(
    chain: Chain, logits: torch.Tensor, row: int, length: int | None = None
) -> dict[tuple[int, ...], float]:
    """exp(score) of every path of one conversation, or of its beginning."""
    stay, change = (one.detach().numpy() for one in (chain.after_same, chain.after_other))
    e, speakers = logits[row].detach().numpy(), SPEAKERS[row]
    found = {}
    for path in itertools.product(range(LABELS), repeat=length or LENGTHS[row]):
        score = sum(e[at, label] for at, label in enumerate(path))
        for at in range(1, len(path)):
            matrix = stay if speakers[at] == speakers[at - 1] else change
            score += matrix[path[at - 1], path[at]]
        found[path] = float(np.exp(score))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_marginals_are_sums_over_all_paths(seed: int) -> None:
    chain, logits, mask, same = drawn(seed)
    found = chain.marginals(logits, mask, same).detach().numpy()
    for row, length in enumerate(LENGTHS):
        weights = paths(chain, logits, row)
        total = sum(weights.values())
        for at in range(length):
            for label in range(LABELS):
                share = sum(w for path, w in weights.items() if path[at] == label) / total
                assert found[row, at, label] == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_without_hindsight_they_are_those_of_each_beginning(seed: int) -> None:
    chain, logits, mask, same = drawn(seed)
    found = chain.marginals(logits, mask, same, hindsight=False).detach().numpy()
    for row, length in enumerate(LENGTHS):
        for at in range(length):
            sums = np.zeros(LABELS)
            for path, weight in paths(chain, logits, row, at + 1).items():
                sums[path[-1]] += weight
            np.testing.assert_allclose(found[row, at], sums / sums.sum(), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_partition_is_the_sum_over_all_paths(seed: int) -> None:
    chain, logits, mask, same = drawn(seed)
    forward = chain._forward(logits, mask, same)
    backward = chain._backward(logits, mask, same)
    for row, length in enumerate(LENGTHS):
        total = np.log(sum(paths(chain, logits, row).values()))
        assert forward[row, -1].logsumexp(dim=-1).item() == pytest.approx(total, abs=1e-10)
        for at in range(length):  # the same wherever the two meet
            meeting = (forward[row, at] + backward[row, at]).logsumexp(dim=-1)
            assert meeting.item() == pytest.approx(total, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_sums_over_what_is_not_known(seed: int) -> None:
    chain, logits, mask, same = drawn(seed)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, LABELS, mask.shape, generator=generator)
    labels = torch.where(mask, labels, -1)
    labels[1] = -1  # a conversation without any label adds nothing
    wanted, known = 0.0, int((labels >= 0).sum())
    for row, length in enumerate(LENGTHS):
        weights = paths(chain, logits, row)
        told = labels[row, :length].tolist()
        fitting = [
            weight
            for path, weight in weights.items()
            if all(one in (label, -1) for one, label in zip(told, path, strict=True))
        ]
        wanted -= np.log(sum(fitting) / sum(weights.values()))
    assert chain.loss(logits, mask, same, labels, 1.0).item() == pytest.approx(wanted, abs=1e-10)
    loss = chain.loss(logits, mask, same, labels, None)
    assert loss.item() == pytest.approx(wanted / known, abs=1e-10)


def test_gradients_equal_small_steps_and_do_not_reach_the_padding() -> None:
    chain, logits, mask, same = drawn()
    labels = torch.where(mask, torch.arange(mask.shape[1]) % 4 - 1, -1)

    chain.loss(logits, mask, same, labels, None).backward()
    assert not logits.grad[~mask].any()
    for one in (logits, chain.after_same, chain.after_other):
        assert torch.isfinite(one.grad).all()
        flat = one.detach().flatten()  # the same numbers in memory
        for place in range(0, flat.numel(), 5):
            ends = []
            for step in (1e-6, -2e-6):
                flat[place] += step
                with torch.no_grad():
                    ends.append(chain.loss(logits, mask, same, labels, None).item())
            flat[place] += 1e-6
            slope = (ends[0] - ends[1]) / 2e-6
            assert one.grad.flatten()[place].item() == pytest.approx(slope, abs=1e-7)


def test_no_labels_at_all_and_single_precision() -> None:
    """The number that stands for −∞ must not become one, nor a NaN."""
    chain, logits, mask, same = drawn()
    nothing = torch.full(mask.shape, -1)
    assert chain.loss(logits, mask, same, nothing, None).item() == 0
    chain, logits = chain.float(), logits.detach().float().requires_grad_()
    labels = torch.where(mask, 0, -1)
    loss = chain.loss(1000 * logits, mask, same, labels, None)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    assert torch.isfinite(chain.after_same.grad).all()


def test_without_transitions_it_is_a_softmax() -> None:
    _, logits, mask, same = drawn()
    chain = Chain(LABELS).double()
    found = chain.marginals(logits, mask, same)[mask]
    torch.testing.assert_close(found, logits.softmax(dim=-1)[mask])
    labels = torch.where(mask, 1, -1)
    plain = torch.nn.functional.cross_entropy(logits[mask], labels[mask])
    torch.testing.assert_close(chain.loss(logits, mask, same, labels, None), plain)


def test_a_system_that_decodes_says_the_marginals_of_its_own_logits() -> None:
    """``decode`` takes who goes on speaking from the batch, one chain for each label set."""
    labels = ("iemocap4", "iemocap6")
    design = made.plan("ats_sagru", settings={"decode": "crf"}, labels=labels)
    system = made.build(design)
    given = [
        made.conversation(design, len(speakers), seed=seed, speakers=speakers)
        for seed, speakers in enumerate(("AABA", "ABC"))
    ]
    batch = systems.collate(given)
    with torch.inference_mode():
        output = system(batch)
        found = system.probabilities(output, batch)
    assert set(system.chains) == set(labels)
    for name, logits in output.logits.items():
        chain = system.chains[name]
        for row, one in enumerate(given):
            e = logits[row, : len(one)].double().numpy()
            sums, total = np.zeros(e.shape), 0.0
            for path in itertools.product(range(e.shape[1]), repeat=len(one)):
                score = sum(e[at, label] for at, label in enumerate(path))
                for at in range(1, len(path)):
                    stays = one.speakers[at] == one.speakers[at - 1]
                    matrix = chain.after_same if stays else chain.after_other
                    score += matrix[path[at - 1], path[at]].item()
                total += np.exp(score)
                sums[range(len(one)), path] += np.exp(score)
            np.testing.assert_allclose(found[name][row, : len(one)], sums / total, atol=1e-6)


def test_a_turn_that_cannot_be_answered_says_nothing_of_its_neighbours() -> None:
    """Words alone are not enough for word_alignment: what was said there must not matter."""
    system = made.build(made.plan("word_alignment", settings={"decode": "crf"}))
    given = made.conversation(system.design, 3, absent={1: ("audio",)})
    other = given.instead(1, {"text": made.conversation(system.design, 3, seed=5).rows["text"][1]})
    one, two = (
        systems.answer(system, [each])[0].probabilities["iemocap6"] for each in (given, other)
    )
    np.testing.assert_allclose(one[[0, 2]], two[[0, 2]], atol=1e-6)
    losses = []
    for each, label in itertools.product((given, other), (3, -1)):
        batch = systems.collate([each])
        wanted = systems.Targets(labels={"iemocap6": torch.tensor([[1, label, 4]])})
        losses.append(system.loss(system(batch), batch, wanted).item())
    assert losses == pytest.approx([losses[0]] * 4, abs=1e-5)
