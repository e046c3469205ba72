"""What systems share, against torch's own packed networks and numbers worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from erc_demo.systems._layers import FEW, LOOSE, Recurrent, alike, reverse, softmax


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_masked_softmax_is_zero_where_nothing_is_left(kind: torch.dtype) -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0], [0.0, 9.0, -9.0], [5.0, 5.0, 5.0]], dtype=kind)
    scores.requires_grad_()
    mask = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    found = softmax(scores, mask)
    share = 1 / (1 + torch.e**2)
    wanted = torch.tensor([[share, 0, 1 - share], [0, 0, 0], [0, 1, 0]], dtype=kind)
    torch.testing.assert_close(found, wanted)
    assert not found[~mask].any()
    (found * torch.arange(9).view(3, 3)).sum().backward()
    assert scores.grad is not None and torch.isfinite(scores.grad).all()
    assert not scores.grad[~mask].any()


def test_rows_are_turned_round_and_padding_stays_behind() -> None:
    rows = torch.tensor([[1.0, 2, 3, 0], [4, 0, 0, 0], [0, 0, 0, 0], [5, 6, 7, 8]])[..., None]
    found = reverse(rows, torch.tensor([3, 1, 0, 4]))[..., 0]
    assert found.tolist() == [[3, 2, 1, 0], [4, 0, 0, 0], [0, 0, 0, 0], [8, 7, 6, 5]]


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("kind", "torchs"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
@pytest.mark.parametrize("count", [5, 40])
def test_recurrence_over_padded_rows_is_torchs_over_packed_ones(
    kind: str, torchs: type[nn.GRU | nn.LSTM], both: bool, count: int
) -> None:
    torch.manual_seed(0)
    lengths = torch.randint(1, 30, (count,))
    lengths[0], size = 1, int(lengths.max()) + 3  # longer than the longest
    rows = torch.randn(count, size, 4, dtype=torch.float64)  # numbers on the padding, too
    ours = Recurrent(kind, 4, 3, both=both).double()
    theirs = torchs(4, 3, batch_first=True, bidirectional=both).double()
    for way, suffix in zip(ours.ways, ("", "_reverse"), strict=False):
        for key, one in way.named_parameters():
            getattr(theirs, key + suffix).data.copy_(one)
    packed = pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
    wanted, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=size)
    found = ours(rows, lengths)
    torch.testing.assert_close(found, wanted)
    assert found.shape[-1] == ours.width
    found.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(ours.ways[0].weight_hh_l0.grad, theirs.weight_hh_l0.grad)
    without = ours(rows, torch.where(torch.arange(count) == 2, 0, lengths))
    assert not without[2].any() and torch.isfinite(without).all()


def test_parts_hold_every_sequence_once_and_like_lengths() -> None:
    lengths = torch.tensor([7, 1, 40, 0, 3, 40, 12, 5, 26, 2, 9, 18, 1, 33, 4, 6, 15, 0, 22, 8])
    parts = alike(lengths, 41)
    assert len(parts) > 3
    assert sorted(torch.cat([part for part, _ in parts]).tolist()) == list(range(len(lengths)))
    for part, longest in parts:
        counts = lengths[part].clamp(min=1)
        assert int(counts.max()) == longest < LOOSE * int(counts.min()) + 1e-6
    assert [longest for _, longest in alike(lengths[:FEW], 41)] == [41]
