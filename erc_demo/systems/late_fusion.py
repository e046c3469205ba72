"""Late fusion: a text LSTM and a joint CNN answer apart, and their posteriors are combined.

Sebastian, Pierucci, "Fusion Techniques for Utterance-Level Emotion Recognition Combining Speech and
Transcripts", Interspeech 2019. Sections 2 and 3, as printed in Table 1:

    T                                          100 numbers of a text CNN: filters of 3, 4, 5 words,
                                               64 maps each, max-pooling, a dense layer
    Score(T) = dense 512, 128, n of an LSTM of 128 units over T
    S                                          100 numbers of the voice: min-max, then selection
    U_D = tanh(W_f [T ; S] + b_f)                                                        (1)
    Score(S, T) = dense 512, 128, n of two convolutions over U_D (128 filters of 5, ReLU, and
                  max-pooling each)
    I    Score = (Score(T) + Score(S, T)) / 2                                            (2)
    II   Score = w_1 Score(T) + w_2 Score(S, T),  w_1 + w_2 = 1                          (3)
    III  Score_j = Score_j(T) Score_j(S, T) / Σ_j' Score_j'(T) Score_j'(S, T)            (4)

III is the default: it has the best accuracy of Table 2. Rows 1 to 5 are the ablations.

What the paper leaves open, and the reading here:

- T is one vector, and an LSTM over one step never uses, so never trains, its recurrent weights.
  ``lstm_over = units`` reads T as 100 steps of one number, as the joint CNN reads U_D; ``words``
  reads the convolutions' maps before pooling, a step a word, each through the dense layer that
  makes T of the pooled ones (the checkpoint here, for "consecutive words provide additional cue",
  section 2.2); ``once`` is the literal step (``idle`` names the weights that stay as drawn).
- (4) prints j' ≠ j. That gives the odds p_j / (1 − p_j), which do not sum to one; over all j' it
  gives p_j. Odds rise with p, so both name the same label.
- Table 1 lists "CNN, LSTM (w_1, w_2) (0.3, 0.7)". By the row's order 0.3 is the CNN's; by (3),
  which defines the symbols, it is the text's. Read by (3): ``text_weight`` 0.3, and 0.7 for the
  joint branch, which is better alone. ``weights = fit`` tries eleven w_1 on the validation part
  ("trial and error") for the most right answers; of equals the one nearest to 0.3.
- "L2-based feature selection": by the weights of a linear classifier with an L2 penalty, on the
  training part only (``_selected.py``). A voice of no more than ``select`` columns keeps all.
- Convolutions keep the length, with zeros beyond both ends, so that one word is enough. ReLU
  follows the text's convolutions, as in the sentence CNN of Kim (2014), and its dense layer.
  U_D has the 200 numbers of [T ; S]; a pooling takes the larger of two.
- The dropout of 0.2 "applied to the LSTM layers" stands on the LSTM's last state.
- Two stages of training, each branch on its own cross-entropy: the text branch, CNN and LSTM
  together; then the joint branch on the T of the frozen text branch (never a gradient into T).

Ours: a voice outside the training part's range is clipped to it, and word vectors are standardised
on it. A turn without voice is answered by the text branch alone (nothing is fused, so no map), but
not with ``early``, where the joint branch answers; one without words is not answered, except by
row 1, which reads none. While the text branch learns, it answers alone. Each branch has a head for
dimensions; II weighs them too, I and III take their mean. A chain (``decode``) learns on the fused
answer and leaves the branches alone. No turn knows of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from erc_demo.plugs import option
from erc_demo.systems import _contract
from erc_demo.systems._batch import Batch, Conversation, collate
from erc_demo.systems._branches import Convolutions, Text
from erc_demo.systems._contract import Ablation, Design, Need, Output, Shown
from erc_demo.systems._losses import Targets, categories, dimensions
from erc_demo.systems._selected import Selected

ABOUT = "A text LSTM and a joint CNN of words and voice, their posteriors multiplied."
PAPER = (
    "Sebastian and Pierucci: Fusion Techniques for Utterance-Level Emotion Recognition Combining "
    "Speech and Transcripts. Interspeech 2019."
)
NEEDS = {
    "audio": Need(
        title="voice",
        level="utterance",
        published=("is13",),
        embedded=("gemaps47:speaker_norm=both", "voice"),
    ),
    "text": Need(
        title="words",
        level="word",
        published=("static",),
        embedded=("words", "words:encoder=emotional"),
    ),
}
EMBEDDED: dict[str, object] = {"lstm_over": "words"}
ABLATIONS = {
    "CNN": Ablation(settings={"fusion": "audio"}, inputs=("audio",)),
    "LSTM": Ablation(settings={"fusion": "text"}, inputs=("text",)),
    "early": Ablation(settings={"fusion": "early"}),
    "late-I": Ablation(settings={"fusion": "mean"}),
    "late-II": Ablation(settings={"fusion": "weighted"}),
}
SMALL = {
    "text": 8, "select": 6, "maps": 4, "units": 8, "filters": 6, "wide": 12, "narrow": 8,
}  # fmt: skip
TRIED = np.linspace(0, 1, 11)  # of w_1, where it is fitted


@dataclass(frozen=True, kw_only=True)
class Config(_contract.Config):
    """Sizes of Table 1, and the rows of Table 2."""

    fusion: str = option(
        "product",
        "product (III), weighted (II), mean (I), early (the joint CNN alone), text or audio (one "
        "branch on one input)",
        ("product", "weighted", "mean", "early", "text", "audio"),
    )
    lstm_over: str = option(
        "units",
        "what the text LSTM steps over: units of T, words, or once (T as one step, literally)",
        ("units", "words", "once"),
    )
    weights: str = option(
        "given", "of weighted: given (text_weight) or fit (on validation)", ("given", "fit")
    )
    text_weight: float = option(0.3, "w1: the text branch's weight in weighted; the rest is w2")
    text: int = option(100, "D_T: numbers of the textual vector T", least=1)
    select: int = option(100, "D_S: columns of the voice that stay", least=1)
    penalty: float = option(
        1.0, "of the ridge regression that selects them, times the L2 norm", least=1e-9
    )
    maps: int = option(64, "f_out: feature maps of each filter width over the words", least=1)
    units: int = option(128, "N_1: units of the LSTM", least=1)
    filters: int = option(128, "N_f: filters of each convolution over U_D", least=1)
    reach: int = option(5, "N_w: width of these filters", least=1)
    wide: int = option(512, "N_2, N_c2: units of each branch's first dense layer", least=1)
    narrow: int = option(128, "N_3, N_c3: units of its second", least=1)
    dropout: float = option(0.2, "share of the LSTM's state dropped in training", least=0, below=1)


@dataclass(slots=True)
class Branches(Output):
    """The fused answer, and what each branch says, (B, L, …); ``has`` is bool (B, L)."""

    said: dict[str, Output] = field(default_factory=dict)
    has: dict[str, Tensor] = field(default_factory=dict)


def fuse(text: Tensor, joint: Tensor, rule: str, weight: Tensor) -> Tensor:
    """Logits of two branches → the log of their fused posteriors; ``weight`` is w_1.

    >>> certain, torn = torch.tensor([0.75, 0.25]).log(), torch.tensor([0.5, 0.5]).log()
    >>> fuse(certain, torn, "weighted", torch.tensor(0.2)).exp()
    tensor([0.5500, 0.4500])
    """
    text, joint = text.log_softmax(dim=-1), joint.log_softmax(dim=-1)
    if rule == "product":
        return (text + joint).log_softmax(dim=-1)  # (4), over all j'
    return torch.logaddexp(text + weight.log(), joint + (1 - weight).log())  # (3); (2) has halves


class System(_contract.System):
    """III of Table 2; the other rows by ``fusion``."""

    text_weight: Tensor
    _stage = ""  # of training; none: all of them are behind it

    def __init__(self, design: Design) -> None:
        """Make the branches that this fusion has."""
        super().__init__(design)
        config = self.config
        absent = [one for one in self._reads if one not in design.inputs]
        if absent:
            raise UserError(
                f"late_fusion with fusion = {config.fusion} reads {' and '.join(self._reads)}, and "
                f"this design has no {absent[0]}; add that input, or set fusion to text or audio."
            )
        if not 0 <= config.text_weight <= 1:
            raise UserError(
                f"late_fusion's text_weight is {config.text_weight:g}; a number from 0 to 1 was "
                "wanted, what is left to 1 being the joint branch's."
            )
        heard = 0
        if "audio" in self._reads:
            selected = Selected(design.widths["audio"], config.select)
            self.scales["audio"], heard = selected, selected.width
        if "text" in self._reads:
            self.text = Text(design)
        if self._reads == ("audio",):
            self.audio = Convolutions(heard, design, joint=False)
        if len(self._reads) == 2:
            self.joint = Convolutions(config.text + heard, design, joint=True)
        weight = config.text_weight if config.fusion == "weighted" else 0.5
        self.register_buffer("text_weight", torch.tensor(float(weight)))

    @property
    def _reads(self) -> tuple[str, ...]:
        """The inputs of this fusion."""
        alone = self.config.fusion in ("text", "audio")
        return (self.config.fusion,) if alone else ("audio", "text")

    @property
    def _answers(self) -> tuple[str, ...]:
        """The branches whose posteriors are the answer; in the first stage that which learns."""
        if self._stage == "text":
            return ("text",)
        single = {"text": ("text",), "audio": ("audio",), "early": ("joint",)}
        return single.get(self.config.fusion, ("text", "joint"))

    @property
    def stages(self) -> tuple[str, ...]:  # type: ignore[override]  # by the fusion
        """The text branch, then the joint one on it; or the single branch."""
        return ("text", "joint") if len(self._reads) == 2 else self._reads

    @property
    def shows(self) -> tuple[Shown, ...]:
        """What each branch says of the first label set, and what comes of it."""
        if not self.design.labels:
            return ()
        fused = ("fused",) if len(self._answers) > 1 else ()
        labels = label_set(self.design.labels[0]).labels
        return (
            Shown(
                name="branches",
                title="what each branch says, and the answer made of it",
                axes=("branch", "label"),
                names={"branch": (*self._answers, *fused), "label": labels},
            ),
        )

    @property
    def idle(self) -> frozenset[str]:
        """The recurrent weights of an LSTM whose one step starts from a state of zeros."""
        once = self.config.lstm_over == "once" and "text" in self._reads
        return frozenset({"text.lstm.ways.0.weight_hh_l0"} if once else ())

    def enough(self, present: frozenset[str]) -> bool:
        """Words, and the voice where the joint branch answers alone; row 1 wants the voice."""
        return present >= set(("text",) if "text" in self._answers else self._reads)

    def around(self, speakers: Sequence[str], place: int) -> Sequence[int]:
        """The turn alone."""
        return [place]

    def run(self, batch: Batch, show: bool) -> Branches:
        """Eq. 1 to 4."""
        has = {one: batch.flat(batch.present[one]) for one in self._reads}
        heard = batch.flat(self.read(batch, "audio")) if "audio" in has else None
        said: dict[str, Output] = {}
        if "text" in has:
            vector, said["text"] = self.text(self.read(batch, "text"), batch.lengths["text"])
            if heard is not None:
                said["joint"] = self.joint(torch.cat([vector.detach(), heard], dim=-1))
                has["joint"] = has["audio"] & has["text"]
        elif heard is not None:
            said["audio"] = self.audio(heard)
        answer = self._answer(said, has)
        folded = _folded(answer, batch)
        output = Branches(
            logits=folded.logits,
            values=folded.values,
            said={name: _folded(one, batch) for name, one in said.items()},
            has={name: batch.fold(has[name]) for name in said},
        )
        if show and self.shows:
            parts = [said[one] for one in self._answers]
            parts += [answer] if len(parts) > 1 else []
            first, turns = self.design.labels[0], has[self._answers[-1]]
            rows = torch.stack([one.logits[first] for one in parts], dim=1)
            output.shown["branches"] = rows.softmax(dim=-1)  # (T, branches, labels)
            every = torch.arange(len(turns), device=turns.device)
            output.whose["branches"] = torch.where(turns, every, -1)  # none where one was silent
        return output

    def _answer(self, said: dict[str, Output], has: dict[str, Tensor]) -> Output:
        """One branch's answer or the fused one; of the text alone where there is no voice."""
        last = said[self._answers[-1]]
        able = has[self._answers[0]][:, None]
        if len(self._answers) == 1:
            return Output(
                logits={name: one * able for name, one in last.logits.items()}, values=last.values
            )
        both, text = has["joint"][:, None], said["text"]
        logits = {}
        for name, one in text.logits.items():
            fused = fuse(one, last.logits[name], self.config.fusion, self.text_weight)
            logits[name] = torch.where(both, fused, one.log_softmax(dim=-1)) * able
        values = None
        if text.values is not None and last.values is not None:
            mixed = self.text_weight * text.values + (1 - self.text_weight) * last.values
            values = torch.where(both, mixed, text.values)
        return Output(logits=logits, values=values)

    def stage(self, name: str) -> None:
        """Free one branch's parameters and hold the other's; the chain learns in the last stage."""
        super().stage(name)
        self._stage = name
        for key, one in self.named_parameters():
            part = key.split(".")[0]
            one.requires_grad_(name == (self.stages[-1] if part == "chains" else part))

    def loss(
        self, output: Output, batch: Batch, targets: Targets, per: float | None = None
    ) -> Tensor:
        """Each branch's own, over the turns that have its inputs; of all where no stage is set."""
        if not isinstance(output, Branches):
            raise TypeError("late_fusion's loss wants the Output of its own run")
        learned = [self._stage] if self._stage else list(output.said)
        parts = []
        for branch in learned:
            one, wanted = output.said[branch], targets.only(output.has[branch])
            parts.append(self.zero(one))
            for name, logits in one.logits.items():
                if name in targets:
                    parts.append(categories(logits, wanted, name, per))
            if one.values is not None and wanted.values is not None:
                kind = self.config.dimension_loss
                parts.append(dimensions(one.values, wanted.values, kind, per))
        if self._stage in ("", self.stages[-1]):
            for name in self.chains:
                if name in targets:
                    able = targets.only(self.able(batch))
                    fused, labels = output.logits[name].detach(), able.hard(name)
                    parts.append(self._chain(name).loss(fused, batch.mask, batch.same, labels, per))
        return torch.stack(parts).sum()

    def fit_inputs(
        self,
        conversations: Sequence[Conversation],
        labels: Sequence[np.ndarray | None] | None = None,
    ) -> None:
        """The words' scale; the voice's range, and which of its columns stay."""
        super().fit_inputs(conversations, labels)
        selected = self.scales["audio"] if "audio" in self._reads else None
        known = [None] * len(conversations) if labels is None else labels
        pairs = [
            (row, -1 if given is None else int(given[at]))
            for one, given in zip(conversations, known, strict=True)
            for at, row in enumerate(one.rows.get("audio", ()))
            if row is not None
        ]
        if isinstance(selected, Selected) and pairs:
            rows, wanted = zip(*pairs, strict=True)
            selected.fit(np.concatenate(rows), np.array(wanted), self.config.penalty)

    def fit_held_out(
        self, conversations: Sequence[Conversation], labels: Sequence[np.ndarray | None]
    ) -> None:
        """With ``weights = fit``: the w_1 of eleven that is right most often on these turns."""
        if (self.config.fusion, self.config.weights) != ("weighted", "fit"):
            return
        right = np.zeros(len(TRIED), int)
        training = self.training
        self.eval()
        with torch.inference_mode():
            for one, given in zip(conversations, labels, strict=True):
                if given is None or not self.design.labels:
                    continue
                output = self.run(collate([one]).to(self.text_weight.device), False)
                first = self.design.labels[0]
                text, joint = (output.said[each].logits[first][0] for each in ("text", "joint"))
                wanted = torch.as_tensor(given, device=text.device)
                counted = output.has["joint"][0] & (wanted >= 0)
                for at, weight in enumerate(TRIED):
                    fused = fuse(text, joint, "weighted", text.new_tensor(weight))
                    right[at] += int(((fused.argmax(dim=-1) == wanted) & counted).sum())
        self.train(training)
        best = TRIED[right == right.max()]
        nearest = best[np.abs(best - self.config.text_weight).argmin()]
        self.text_weight.fill_(float(nearest))


def _folded(flat: Output, batch: Batch) -> Output:
    return Output(
        logits={name: batch.fold(one) for name, one in flat.logits.items()},
        values=None if flat.values is None else batch.fold(flat.values),
    )
