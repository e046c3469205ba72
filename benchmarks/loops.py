"""The systems as a reader of their papers would first write them: one turn after another in Python.

Each function runs one conversation through a system's own parameters, so that both ways train the
same network, and gives the logits of each branch that is trained, (turns, labels). Recurrences and
convolutions are torch's, over one turn at a time; turns, inputs, words, heads, windows are loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from erc_demo.systems import Conversation

Loop = Callable[[Any, Conversation], list[Tensor]]


def row(system: Any, given: Conversation, name: str, at: int) -> Tensor:
    """The rows of one input of one turn, (n, width)."""
    return system.scales[name](torch.from_numpy(given.rows[name][at]))


def over(recurrent: Any, rows: Tensor) -> Tensor:
    """A recurrence over one sequence, one way or both."""
    found = [recurrent.ways[0](rows)[0]]
    if len(recurrent.ways) > 1:
        found.append(recurrent.ways[1](rows.flip(0))[0].flip(0))
    return torch.cat(found, dim=-1)


def ats_sagru(system: Any, given: Conversation) -> list[Tensor]:
    """Fusion turn by turn and input by input, attention head by head and turn by turn."""
    fused = []
    for at in range(len(given)):
        columns = [system.embed[name](row(system, given, name, at)[0]) for name in given.rows]
        scores = [system.score(torch.tanh(system.w_f(column))) for column in columns]
        weights = torch.cat(scores).softmax(dim=0)
        fused.append(sum(weight * column for weight, column in zip(weights, columns, strict=True)))
    states = system.dropout(over(system.gru, system.dropout(torch.stack(fused))))
    size = system.config.width // system.config.heads
    heads = []
    for head in range(system.config.heads):
        mine = slice(head * size, (head + 1) * size)
        query, key, value = (
            states @ layer.weight[mine].T for layer in (system.query, system.key, system.value)
        )
        seen = [torch.softmax(key @ query[at], dim=0) @ value for at in range(len(given))]
        heads.append(torch.stack(seen))
    joined = system.dropout(torch.cat(heads, dim=1))
    (head,) = system.heads.labels.values()
    return [torch.stack([head(joined[at]) for at in range(len(given))])]


def iaan(system: Any, given: Conversation) -> list[Tensor]:
    """For each turn its triple of turns, each through its GRU."""
    logits = []
    for at in range(len(given)):
        contexts = []
        for role, same in (("own", True), ("other", False)):
            part = system.before[role]
            earlier = [
                one for one in range(at) if (given.speakers[one] == given.speakers[at]) is same
            ]
            forgotten = system.training and torch.rand(()) < system.config.forget
            if not earlier or forgotten:
                contexts.append(part.nothing)
                continue
            states = system.dropout(over(part.gru, row(system, given, "audio", earlier[-1])))
            contexts.append(_attended(part.attention, states))
        states = system.dropout(over(system.gru, row(system, given, "audio", at)))
        asking = system.before["own"].into(contexts[0]) + system.before["other"].into(contexts[1])
        joint = torch.cat([_attended(system.attention, states, asking), *contexts])
        hidden = system.dropout(torch.relu(system.projection(joint)))
        (head,) = system.heads.labels.values()
        logits.append(head(hidden))
    return [torch.stack(logits)]


def _attended(attention: Any, states: Tensor, asking: Tensor | float = 0.0) -> Tensor:
    scores = attention.score(torch.tanh(attention.states(states) + asking)).squeeze(-1)
    return scores.softmax(dim=0) @ states


def word_alignment(system: Any, given: Conversation) -> list[Tensor]:
    """Turn by turn; the attention word by word and head by head."""
    logits = []
    score, units = system.score, system.config.head_units
    for at in range(len(given)):
        speech = over(system.speech, row(system, given, "audio", at))
        text = over(system.text, row(system, given, "text", at))
        words = []
        for word in text:
            heads = []
            for head in range(system.config.heads):
                mine = slice(head * units, (head + 1) * units)
                heard = speech @ score.speech.weight[mine].T
                read = score.text.weight[mine] @ word + score.text.bias[mine]
                scores = (torch.tanh(heard + read) @ score.weight[head]).squeeze(-1)
                heads.append(scores.softmax(dim=0) @ speech)
            words.append(torch.cat([score.project(torch.cat(heads)), word]))
        states = over(system.joint, system.dropout(torch.stack(words)))
        (head_of_all,) = system.heads.labels.values()
        logits.append(head_of_all(system.dropout(states.amax(dim=0))))
    found = torch.stack(logits)
    return [torch.relu(found) if system.config.relu else found]


def late_fusion(system: Any, given: Conversation) -> list[Tensor]:
    """Turn by turn, the text branch over the words and the joint branch on top of it."""
    said: list[list[Tensor]] = [[], []]
    for at in range(len(given)):
        words = row(system, given, "text", at)
        maps = [torch.relu(one(words.T.unsqueeze(0)))[0] for one in system.text.filters]
        across = torch.cat(maps).T
        vector = torch.relu(system.text.project(across.amax(dim=0)))
        steps = [torch.relu(system.text.project(word)) for word in across]
        state = system.text.dropout(over(system.text.lstm, torch.stack(steps))[-1])
        said[0].append(_dense(system.text.dense, state))
        heard = row(system, given, "audio", at)[0]
        both = torch.tanh(system.joint.early(torch.cat([vector.detach(), heard])))
        rows = both.view(1, 1, -1)
        for convolution in (system.joint.first, system.joint.second):
            rows = torch.nn.functional.max_pool1d(torch.relu(convolution(rows)), 2)
        said[1].append(_dense(system.joint.dense, rows.flatten()))
    return [torch.stack(branch) for branch in said]


def _dense(dense: Any, state: Tensor) -> Tensor:
    (head,) = dense.heads.labels.values()
    logits: Tensor = head(torch.relu(dense.narrow(torch.relu(dense.wide(state)))))
    return logits


def dialogue_trm(system: Any, given: Conversation) -> list[Tensor]:
    """For each turn its window through the encoder of words, its sound, gates, and the fusion."""
    reach, logits = system.config.context, []
    fusion = system.fusion
    for at in range(len(given)):
        window = [
            system.project["text"](row(system, given, "text", one)[0])
            for one in range(max(0, at - reach), at + 1)
        ]
        text = _transformer(system.encoders["text"], torch.stack(window))[-1]
        heard = system.project["audio"](row(system, given, "audio", at))
        audio = _transformer(system.encoders["audio"], heard)[0]
        gate = torch.sigmoid(fusion.gates[0](torch.cat([text, audio])))
        gated = torch.stack(
            [
                gate * torch.tanh(fusion.hidden[0](text)),
                (1 - gate) * torch.tanh(fusion.hidden[1](audio)),
            ]
        )
        rows = torch.cat([fusion.wrapped.cls.unsqueeze(0), gated + fusion.wrapped.order])
        fused = _transformer(fusion.wrapped.encoder, rows)[0]
        (head,) = system.heads.labels.values()
        logits.append(head(torch.tanh(system.hidden(fused))))
    return [torch.stack(logits)]


def _transformer(encoder: Any, rows: Tensor) -> Tensor:
    for layer in encoder.layers:
        width = rows.shape[1]
        size = width // layer.heads
        mixed = []
        for head in range(layer.heads):
            parts = []
            for kind in range(1 if layer.alone else 3):  # queries, keys and values; or values
                mine = slice(kind * width + head * size, kind * width + (head + 1) * size)
                parts.append(rows @ layer.inner.weight[mine].T + layer.inner.bias[mine])
            if layer.alone:
                weights = torch.ones(1, 1)
            else:
                weights = torch.softmax(parts[0] @ parts[1].T / size**0.5, dim=-1)
            mixed.append(layer.dropout(weights) @ parts[-1])
        states = layer.norm_1(rows + layer.dropout(layer.outer(torch.cat(mixed, dim=1))))
        rows = layer.norm_2(states + layer.dropout(layer.feed(states)))
    return rows


LOOPS: Mapping[str, Loop] = {
    "ats_sagru": ats_sagru,
    "late_fusion": late_fusion,
    "dialogue_trm": dialogue_trm,
    "iaan": iaan,
    "word_alignment": word_alignment,
}
