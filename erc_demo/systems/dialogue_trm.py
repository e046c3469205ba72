"""DialogueTRM: words in the context of the dialogue, sound and sight as they are, gates between.

Mao, Liu, Wang, Gao, Li, "DialogueTRM: Exploring Multi-Modal Emotional Dynamics in a Conversation",
Findings of EMNLP 2021. Of turn i, with words u, sound a and sight v:

    f_(u) = BERT([CLS] words [SEP] indi-context [SEP]) at [CLS]                  (1)
    r_(u) = Transformer(F_(u), ρ̄_i)      ρ̄_i: the K turns before it and itself    (2, 3)
    r_(a) = Transformer(F_(a), ρ̇_i)      ρ̇_i: itself                              (4, 6)
    r_(v) = Transformer(F_(v), ρ̇_i)                                              (5, 6)
    h_(u) = tanh(W^U r_(u)),  h_(a) = tanh(W^A r_(a))                            (7, 8)
    z = σ(W^Z [r_(u); r_(a)]),  h_(ua) = z ∗ h_(u),  h_(au) = (1 − z) ∗ h_(a)     (9–12)
    and so for the other pairs                                                   (13, 14)
    o = Transformer(e_CLS h_(ua) h_(au) h_(uv) h_(vu) h_(av) h_(va)) at e_CLS    (15, 16)
    softmax(W^C tanh(W^O o)) for categories, W^D tanh(W^O o) for dimensions      (17, 18)

Encoders over the turns: 6 layers, 12 heads; over the gated vectors: 4 layers, 8 heads; 768 wide.
The indi-context, what the speaker said in the K = 14 turns before, comes with the tokens
(``tokens:context=14``); with K = 5 and the speakers 1 1 2 1 3 2 1 2, turn 7 reads the words of 2
and 4 beside its own, and sees the turns 2 to 6 and itself.

What the paper leaves open, and the reading here:

- ρ̄ is written as one mask for all places: within the window of turn i every turn sees every other,
  also later ones, and layers don't widen it. ``window = strict`` gives each turn its own window;
  ``rows`` is what one pass with a band of masks computes, in which six layers see 6 K turns back.
- "PyTorch API using default parameters": 2,048 units between, dropout 0.1, ReLU, norms behind.
  Layers of an encoder are drawn one by one, where ``nn.TransformerEncoder`` copies the first.
- Nothing is said of positions inside the window. There are none unless ``positions`` asks for
  them; those of the gated vectors ("a fixed order") are learned. W^Z … W^D have no biases.
- Each modality has an encoder of its own; what is not 768 wide is projected to it.
- "-U" has no fusion: W^O reads r_(u). The target is the turn's own [CLS].
- Table 3 takes away one thing after the other (``remove``): the encoder over the turns; then the
  segments; then every [SEP]. Its BERT-base is Table 4's u̇: words alone, no context of either kind.
- Table 4's context-free words have no indi-context; ``text_context = free`` drops its tokens.
- Table 2 has three inputs on IEMOCAP and AVEC (``M``), two on MELD, as this system by default.
- Which gates share which W, and what the rivals of Table 5 are, stands in ``_fusion``.

Departures. The paper's 100 numbers of sound are openSMILE's 6,373, narrowed by a layer that its
source trained with the labels and did not keep: ``is13`` and the projection here are that. C3D is
not here; any picture or video encoder by name stands for it. Inputs are put on a common scale.

Ours: a turn may lack modalities. Turns without words are left out of windows, gated vectors of a
missing partner out of the fusion; a turn that has one modality goes on with its r, as -U does. Any
one input suffices. Words may also come as sentence vectors (``text``) of an encoder that is not
tuned here; a design reads one of the two. A checkpoint here reads vectors, is 192 wide with 512
units between (2,048 to 768), and has the paper's layers and heads.

The maps: ``gates``, the mean over the width of z and of 1 − z, 0 where the partner is absent;
``parts``, [CLS]'s attention over the gated vectors and itself, and ``context``, the turn's over its
window, both of the last layer: it is what the answer is summed from, head by head. By then turns
have already read each other, so a weight names where something was taken, not where it arose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from erc_demo.errors import UserError, listed
from erc_demo.plugs import option
from erc_demo.systems import _contract
from erc_demo.systems._batch import Batch
from erc_demo.systems._contract import Ablation, Design, Need, Output, Shown
from erc_demo.systems._fusion import KINDS, Fusion, Given
from erc_demo.systems._layers import Heads
from erc_demo.systems._text_encoder import first_states, network
from erc_demo.systems._transformer import Encoder, Rows, Windows

ABOUT = "Words in the context of the dialogue, voice and face as they are, gates between them."
PAPER = (
    "Mao, Liu, Wang, Gao and Li: DialogueTRM: Exploring Multi-Modal Emotional Dynamics in a "
    "Conversation. Findings of EMNLP 2021."
)
NEEDS = {
    "tokens": Need(title="words", level="token", published=("tokens:context=14",), embedded=()),
    "text": Need(
        title="words",
        level="utterance",
        published=(),
        embedded=("sentence", "sentence:encoder=emotional"),
    ),
    "audio": Need(
        title="voice",
        level="utterance",
        published=("is13",),
        embedded=("gemaps47:speaker_norm=both", "voice"),
    ),
    "vision": Need(
        title="face",
        level="utterance",
        published=("pictures:encoder=MCG-NJU/videomae-base",),
        embedded=("pictures:encoder=openai/clip-vit-base-patch32",),
        extra=True,
    ),
}
WORDS = ("tokens", "text")  # a design has one of them
TOKEN = 3  # columns of a token: number, segment, word
BERT = '{"model_type": "bert"}'  # transformers' own sizes are those of BERT-base
MINILM = (
    '{"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, '
    '"num_attention_heads": 12, "intermediate_size": 1536}'
)
EMBEDDED: dict[str, object] = {"width": 192, "units": 512, "encoder": MINILM}
FREE = {"text_context": "free"}  # what the paper has not: words by themselves,
CONTEXT = {"audio_context": "dependent", "vision_context": "dependent"}  # sound and sight not so
ALL = (*WORDS, "audio", "vision")
ABLATIONS = {
    # Table 2
    "U": Ablation(inputs=WORDS),
    "M": Ablation(inputs=ALL),
    # Table 3
    "BERT": Ablation(settings={**FREE, "remove": "transformer"}, inputs=WORDS),
    "no_transformer": Ablation(settings={"remove": "transformer"}, inputs=WORDS),
    "no_segments": Ablation(settings={"remove": "segments"}, inputs=WORDS),
    "no_separators": Ablation(settings={"remove": "separators"}, inputs=WORDS),
    # Table 4, where U is ū and M is ȧ + v̇ + ū
    "u_free": Ablation(settings=FREE, inputs=WORDS),
    "a_free": Ablation(inputs=("audio",)),
    "v_free": Ablation(inputs=("vision",)),
    "av_free": Ablation(inputs=("audio", "vision")),
    "avu_free": Ablation(settings=FREE, inputs=ALL),
    "a_context": Ablation(settings=CONTEXT, inputs=("audio",)),
    "v_context": Ablation(settings=CONTEXT, inputs=("vision",)),
    "av_context": Ablation(settings=CONTEXT, inputs=("audio", "vision")),
    "av_context_u_free": Ablation(settings={**CONTEXT, **FREE}, inputs=ALL),
    "avu_context": Ablation(settings=CONTEXT, inputs=ALL),
    # Table 5
    **{one: Ablation(settings={"fusion": one}) for one in KINDS if one not in ("mgif", "mult")},
    "mult": Ablation(settings={"fusion": "mult", **CONTEXT}),
}
SMALL = {
    "width": 16,
    "context": 3,
    "layers": 2,
    "heads": 2,
    "units": 24,
    "fusion_layers": 2,
    "fusion_heads": 2,
    "sketch": 48,
    "encoder": '{"model_type": "bert", "vocab_size": 64, "hidden_size": 12, '
    '"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, '
    '"max_position_embeddings": 64, "initializer_range": 0.3}',
}
HOW = "dependent (on the turns in the window, Eq. 2-3) or free (of them, Eq. 4-6)"


@dataclass(frozen=True, kw_only=True)
class Config(_contract.Config):
    """Sizes, the context of each modality, the fusion, and what Table 3 takes away."""

    width: int = option(768, "width of every vector behind the inputs")
    context: int = option(14, "K: how many turns before its own a turn sees")
    layers: int = option(6, "layers of each encoder over the turns")
    heads: int = option(12, "its attention heads")
    units: int = option(2048, "units between the two linear layers of every layer")
    dropout: float = option(0.1, "share of numbers dropped in training")
    window: str = option(
        "strict",
        "strict: K turns back, whatever the layers; rows: K back in each layer, so layers x K",
        ("strict", "rows"),
    )
    positions: bool = option(False, "learned positions in the window; not in the paper")
    text_context: str = option("dependent", f"words: {HOW}", ("dependent", "free"))
    audio_context: str = option("free", f"voice: {HOW}", ("dependent", "free"))
    vision_context: str = option("free", f"face: {HOW}", ("dependent", "free"))
    fusion: str = option("mgif", "of two modalities or more: mgif, or a rival", tuple(KINDS))
    fusion_layers: int = option(4, "layers of the Transformer in the fusion")
    fusion_heads: int = option(8, "its attention heads")
    sketch: int = option(16000, "of bilinear fusion: places that numbers are counted into")
    remove: str = option(
        "none",
        "from the words, each with those before it: transformer (over the turns), segments, "
        "separators",
        ("none", "transformer", "segments", "separators"),
    )
    encoder: str = option(BERT, "of the input tokens: the text encoder's config.json as one text")


class System(_contract.System):
    """-M; -U is a design whose only input is words."""

    def __init__(self, design: Design) -> None:
        """Make the parts; weights of the text encoder are random until they are copied in."""
        super().__init__(design)
        config, names = self.config, tuple(design.inputs)
        _check(design)
        bare = WORDS if config.remove != "none" else ()  # without an encoder over the turns
        self.dependent = {name for name in names if name not in bare and not _free(config, name)}
        sizes = dict(design.widths)
        self.encoder: Any = None
        if "tokens" in sizes:
            self.encoder = network(config.encoder, config.dropout)
            sizes["tokens"] = self.encoder.config.hidden_size
        width = config.width
        self.project = nn.ModuleDict(
            {
                name: nn.Identity() if sizes[name] == width else nn.Linear(sizes[name], width)
                for name in names
            }
        )
        shape = (width, config.heads, config.units, config.layers, config.dropout)
        self.encoders = nn.ModuleDict(
            {
                name: Encoder(*shape, alone=name not in self.dependent)
                for name in names
                if name not in bare
            }
        )
        self.positions = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(config.context + 1, width) / width**0.5)
                for name in names
                if config.positions and name in self.dependent
            }
        )
        self.fusion: Fusion | None = None
        if len(names) > 1:
            self.fusion = KINDS[config.fusion](names, config)
        self.hidden = nn.Linear(width, width, bias=False)  # W^O
        self.heads = Heads(width, design.labels, design.dimensions, bias=False)  # W^C, W^D

    @property
    def shows(self) -> tuple[Shown, ...]:
        """Attention over the turns for each input that has it, and the fusion's own maps."""
        needs = self.design.module.NEEDS
        found = [
            Shown(
                name=_map(name),
                title=f"attention over the turns, {needs[name].title}",
                axes=("head", "turn"),
                sums="turn",
            )
            for name in self.design.inputs
            if name in self.dependent
        ]
        return (*found, *(self.fusion.shows if self.fusion is not None else ()))

    def enough(self, present: frozenset[str]) -> bool:
        """Any one of its inputs."""
        return bool(present & set(self.design.inputs))

    def around(self, speakers: Sequence[str], place: int) -> Sequence[int] | None:
        """The turn itself and, where an input has context, K turns back, or K for each layer."""
        config = self.config
        reach = 0
        if self.dependent:
            across = 2 * config.fusion_layers if self._over_turns else 0
            layers = 1 if config.window == "strict" else config.layers + across
            reach = layers * config.context
        return range(max(0, place - reach), place + 1)

    @property
    def _over_turns(self) -> bool:
        return self.fusion is not None and self.fusion.over_turns

    def run(self, batch: Batch, show: bool) -> Output:
        """Eq. 1 to 18."""
        output = Output()
        names = list(self.design.inputs)
        layout = (Windows if self.config.window == "strict" else Rows)(batch, self.config.context)
        there = torch.stack([batch.flat(batch.present[name]) for name in names], dim=1)
        own, around = [], []
        for name, real in zip(names, there.unbind(1), strict=True):
            vectors = self.project[name](self._vectors(batch, name))  # f_i, (T, width)
            one, turns = self._represent(name, vectors, real, layout, output if show else None)
            own.append(one * real.unsqueeze(1))  # r_i
            around.append(turns)
        fused = own[0]
        if self.fusion is not None:
            shown: dict[str, Tensor] = {}
            fused = self.fusion(
                Given(
                    states=torch.stack(own, dim=1),
                    there=there,
                    shown=shown if show else None,
                    layout=layout,
                    around=around,
                )
            )
            turns = torch.arange(len(there), device=there.device)
            turns = torch.where(there.sum(dim=1) > 1, turns, -1)  # one input alone has no map
            output.shown.update(shown)
            output.whose.update(dict.fromkeys(shown, turns))
        logits, values = self.heads(torch.tanh(self.hidden(fused)))  # (17), (18)
        output.logits = {name: batch.fold(one) for name, one in logits.items()}
        output.values = None if values is None else batch.fold(values)
        return output

    def _vectors(self, batch: Batch, name: str) -> Tensor:
        """What an input says of each turn: (T, its width)."""
        if name != "tokens":
            return batch.flat(self.read(batch, name))
        remove = self.config.remove
        return first_states(
            self.encoder,
            batch.inputs[name],
            batch.lengths[name],
            past=self.config.text_context == "dependent",
            segments=remove not in ("segments", "separators"),
            separators=remove != "separators",
        )  # (1)

    def _represent(
        self, name: str, vectors: Tensor, real: Tensor, layout: Windows, output: Output | None
    ) -> tuple[Tensor, Tensor]:
        """An input's r of each turn (T, width), and of those around it if the fusion asks."""
        if name not in self.encoders:  # Table 3
            return vectors, layout.spread(vectors) if self._over_turns else vectors
        encoder = self.encoders[name]
        assert isinstance(encoder, Encoder)
        if name not in self.dependent:
            states, _ = encoder(vectors)  # (4), (5), (6)
            return states, states
        rows, projected = layout.spread(vectors), layout.spread(encoder.first.inner(vectors))
        if name in self.positions:
            places = self.positions[name]
            rows = rows + places
            projected = projected + places @ encoder.first.inner.weight.T
        at = None if self._over_turns else layout.at
        states, weights = encoder(rows, layout.sees(real), projected=projected, at=at)  # (2), (3)
        if output is not None and weights is not None:
            output.shown[_map(name)] = layout.weights(weights)
            output.seen[_map(name)] = layout.seen(real)
        return layout.target(states), states


def _free(config: Config, name: str) -> bool:
    """Whether an input is to be read without the turns before."""
    kind = "text" if name in WORDS else name
    return bool(getattr(config, f"{kind}_context") == "free")


def _map(name: str) -> str:
    return "context" if name in WORDS else f"context_{name}"


def _check(design: Design) -> None:
    """Settings and inputs that can't go together, all of them at once."""
    config, problems = design.config, []
    words = [name for name in WORDS if name in design.inputs]
    free = [name for name in design.inputs if _free(config, name)]
    for one in ("context", "layers", "units", "fusion_layers", "sketch"):
        if getattr(config, one) < 1:
            problems.append(f"{one} is {getattr(config, one)}, and 1 or more was wanted")
    for one in ("heads", "fusion_heads"):
        if getattr(config, one) < 1 or config.width < 1 or config.width % getattr(config, one):
            problems.append(f"{one} = {getattr(config, one)} can't share a width of {config.width}")
    if not 0 <= config.dropout < 1:
        problems.append(f"dropout is {config.dropout}, and 0 to less than 1 was wanted")
    if len(words) > 1:
        problems.append("words are read as tokens or as text, not both")
    if design.widths.get("tokens", TOKEN) != TOKEN:
        columns = design.widths["tokens"]
        problems.append(f"tokens have {columns} columns, not number, segment and word")
    if config.remove != "none" and not words:
        problems.append(f"remove = {config.remove} is about words, which it does not read")
    if config.remove in ("segments", "separators") and "text" in words:
        problems.append(f"there are no {config.remove} in text; let it read tokens")
    if config.positions and config.window == "rows":
        problems.append("positions are those in a window of its own; use window = strict")
    if config.fusion == "mult" and len(design.inputs) > 1 and free:
        problems.append(f"mult reads the turns around; {' and '.join(free)} can't be context-free")
    if problems:
        raise UserError(f"This dialogue_trm can't be made: {listed(problems)}.")
