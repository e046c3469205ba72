"""Emotions: how they look, what each corpus calls them, and how label sets map to one another.

Eleven emotions have one look each, so that the same emotion has the same colour in every label
set. Colour is never the only cue: a sign, a pattern and the label's letter stand beside it. The
fills of one set lie at least 8.5 apart (Euclidean distance in OKLab, Ottosson 2020, times 100),
on light and on dark ground, also for full protanopia, deuteranopia and tritanopia as simulated
by Machado, Oliveira and Fernandes (2009); texts reach a contrast of 4.5 (WCAG 2.2). The tests
compute all of it.

Label sets map by one rule: to the label of the same emotion; where the target has none, by
``MERGES``; else the label is dropped. Dropping is said with None, never by a wrong label. Words of
a model from elsewhere that are no emotions here (``OwnWords``) map to nothing and have no hue.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from erc_demo.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How an emotion is drawn: fills, text colours (#RRGGBB), a sign and a pattern's name.

    ``on_…`` is the colour of a sign inside the fill; ``text`` is for words on the page itself.
    """

    fill: str
    on_fill: str
    text: str
    fill_dark: str
    on_fill_dark: str
    text_dark: str
    glyph: str
    pattern: str

    @property
    def outlined(self) -> bool:
        """Whether the fill needs an outline on white: its own contrast is below 3."""
        return contrast(self.fill, "#FFFFFF") < 3


def contrast(one: str, other: str) -> float:
    """The contrast of two colours #RRGGBB after WCAG 2.2, from 1 to 21.

    >>> contrast("#000000", "#FFFFFF")
    21.0
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


INK, PAPER = "#111418", "#FFFFFF"


def _look(
    light: tuple[str, str, str], dark: tuple[str, str, str], glyph: str, pattern: str
) -> Look:
    return Look(
        fill=light[0], on_fill=light[1], text=light[2],
        fill_dark=dark[0], on_fill_dark=dark[1], text_dark=dark[2],
        glyph=glyph, pattern=pattern,
    )  # fmt: skip


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "neutral": _look(("#84898F", INK, "#676C72"), ("#838A92", INK, "#94999E"), "–", "none"),
        "calm": _look(("#7EB3A8", INK, "#3F7369"), ("#A5E5E4", INK, "#7EB3A8"), "~", "wave"),
        "happy": _look(("#E8C93B", INK, "#866800"), ("#FAD45E", INK, "#E8C93B"), "+", "dots"),
        "sad": _look(("#407DCB", INK, "#2E6AB7"), ("#5997E0", INK, "#6499DF"), "▾", "down"),
        "angry": _look(
            ("#D40C17", PAPER, "#D40C17"), ("#E1595B", INK, "#F86B5F"), "!", "solid-dark"
        ),
        "excited": _look(("#EA7313", INK, "#B94700"), ("#E8964C", INK, "#EC771F"), "▴", "up"),
        "frustrated": _look(
            ("#820088", PAPER, "#820088"), ("#A742A8", PAPER, "#C87FCA"), "×", "cross"
        ),
        "fear": _look(("#383D92", PAPER, "#383D92"), ("#616ACA", PAPER, "#8B96D2"), "◇", "grid"),
        "surprise": _look(("#FF93E2", INK, "#AA4592"), ("#EF92B8", INK, "#FF93E2"), "○", "rings"),
        "disgust": _look(("#377129", PAPER, "#377129"), ("#5E6B12", PAPER, "#77A46D"), "◐", "diag"),
        "powerful": _look(
            ("#641036", PAPER, "#641036"), ("#B81C6C", PAPER, "#E87AA4"), "★", "zigzag"
        ),
    }
)

# What labels and corpora call each emotion: IEMOCAP, MSP-IMPROV, MELD, EmoryNLP, DailyDialog,
# RAVDESS, CREMA-D. The first word is the emotion's own name.
_CALLED = {
    emotion: words.split("|")
    for emotion, words in {
        "neutral": "neutral|neu|neutral state|no emotion",
        "calm": "calm|cal|peaceful|pea",
        "happy": "happy|hap|happiness|joy|joyful",
        "sad": "sad|sadness",
        "angry": "angry|ang|anger|mad",
        "excited": "excited|exc|excitement",
        "frustrated": "frustrated|fru|frustration",
        "fear": "fear|fea|fearful|scared|sca",
        "surprise": "surprise|sur|surprised",
        "disgust": "disgust|dis|disgusted",
        "powerful": "powerful|pow",
    }.items()
}
_EMOTION = {word: emotion for emotion, words in _CALLED.items() for word in words}

# The letter on a badge or a key where it is not the label's first.
_LETTERS = {"scared": "C", "surprise": "U", "surprised": "U", "powerful": "W"}

# Where a target lacks an emotion, its nearest; what has none here is dropped. The four classes of
# IEMOCAP (5,531 turns) count excitement as happiness and leave frustration out; calm was recorded
# for RAVDESS as a second baseline beside neutral.
MERGES: Mapping[str, str] = MappingProxyType({"excited": "happy", "calm": "neutral"})


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of a corpus, in a fixed order.

    ``own`` pairs words that only this corpus uses with its labels.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    own: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        unknown = [label for label in self.labels if label not in _EMOTION]
        if unknown or len(self.labels) < 2:
            raise UserError(
                f"The label set {self.name} holds {', '.join(self.labels) or 'nothing'}; two or "
                f"more of these were wanted: {', '.join(sorted(_EMOTION))}."
            )
        for part in (_EMOTION.__getitem__, self.letter):
            seen: dict[str, str] = {}
            for label in self.labels:
                other = seen.setdefault(part(label), label)
                if other != label or self.labels.count(label) > 1:
                    raise UserError(
                        f"The label set {self.name} holds both {other} and {label}, which could "
                        "not be told apart by colour or letter; keep one of them."
                    )

    def emotion(self, label: str) -> str:
        """The emotion that a label of this set stands for, a key of ``LOOKS``."""
        return _EMOTION[self._known(label)]

    def look(self, label: str) -> Look:
        """How a label of this set is drawn."""
        return LOOKS[self.emotion(label)]

    def letter(self, label: str) -> str:
        """The one letter of a label, its own within this set."""
        return _LETTERS.get(self._known(label), label[0].upper())

    def code(self, label: str) -> str:
        """The three letters of a label, its own within this set."""
        return self._known(label)[:3].upper()

    def parse(self, word: str) -> str:
        """The label that a corpus means by its word, letter or code.

        >>> MELD7.parse("happiness"), IEMOCAP6.parse("fru"), IEMOCAP6.parse("F")
        ('joy', 'frustrated', 'frustrated')
        """
        plain = " ".join(str(word).strip().lower().replace("_", " ").split())
        for own, label in self.own:
            if plain == own:
                return label
        emotion = _EMOTION.get(plain)
        for label in self.labels:
            if plain == self.letter(label).lower() or emotion == _EMOTION[label]:
                return label
        means = f" ({emotion})" if emotion and emotion != plain else ""
        raise UserError(
            f"'{word}'{means} is no label of {self.title}; it has "
            f"{', '.join(f'{label} ({self.letter(label)})' for label in self.labels)}."
        )

    def _known(self, label: str) -> str:
        if label not in self.labels:
            known = ", ".join(self.labels)
            raise UserError(f"{self.title} has no label '{label}'; it has {known}.")
        return label


OWN = "own"  # the name of every set of such words
MOST_WORDS, LONGEST_WORD = 64, 40  # labels, characters
_SIGNS = (*string.ascii_uppercase, *string.digits, *string.ascii_lowercase, "@", "%")


class OwnWords(LabelSet):
    """Labels in the words of a model from elsewhere, which stand for no emotion that is known here.

    They look grey, for hue means emotion, and are told apart by sign and pattern; the sign is the
    label's letter: its first that is free, else the first free one of all.
    """

    __slots__ = ()

    def __init__(self, labels: Sequence[str]) -> None:
        """The labels as the model calls them, in its order."""
        super().__init__(OWN, "its own words", tuple(labels))

    def __post_init__(self) -> None:
        odd = [one for one in self.labels if not _plain(one)]
        if odd or not 2 <= len(set(self.labels)) == len(self.labels) <= MOST_WORDS:
            raise UserError(
                f"{len(self.labels)} labels were given ({', '.join(map(repr, self.labels[:3]))} "
                f"…); 2 to {MOST_WORDS} were wanted, none of them twice, each of at most "
                f"{LONGEST_WORD} printable characters without < and >."
            )

    def emotion(self, label: str) -> str:
        """Refused: these words are not guessed at."""
        raise UserError(f"'{self._known(label)}' is a model's own word and no emotion known here.")

    def look(self, label: str) -> Look:
        """Neutral's greys with the label's letter as sign, and a pattern by its place."""
        patterns = [one.pattern for one in LOOKS.values()]
        pattern = patterns[self.labels.index(self._known(label)) % len(patterns)]
        return replace(LOOKS["neutral"], glyph=self.letter(label), pattern=pattern)

    def letter(self, label: str) -> str:
        """The one sign of a label, its own within this set."""
        self._known(label)
        taken: dict[str, str] = {}
        for one in self.labels:
            wanted = [*(letter for letter in one.upper() if letter in _SIGNS), *_SIGNS]
            taken[one] = next(sign for sign in wanted if sign not in taken.values())
        return taken[label]

    def parse(self, word: str) -> str:
        """The label of just that word."""
        return self._known(str(word))


def _plain(label: str) -> bool:
    """Whether a label can be shown anywhere as it is."""
    return bool(label.strip() and len(label) <= LONGEST_WORD and label.isprintable()) and not set(
        label
    ) & set("<>")


IEMOCAP4 = LabelSet("iemocap4", "IEMOCAP, 4 classes", ("neutral", "happy", "sad", "angry"))
IEMOCAP6 = LabelSet(
    "iemocap6",
    "IEMOCAP, 6 classes",
    ("neutral", "happy", "sad", "angry", "excited", "frustrated"),
)
MELD7 = LabelSet(
    "meld7",
    "MELD, 7 classes",
    ("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust"),
)
EMORYNLP7 = LabelSet(
    "emorynlp7",
    "EmoryNLP, 7 classes",
    ("neutral", "joyful", "peaceful", "powerful", "scared", "mad", "sad"),
)
_RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
RAVDESS8 = LabelSet(
    "ravdess8",
    "RAVDESS, 8 classes",
    _RAVDESS,
    tuple((f"{number:02d}", label) for number, label in enumerate(_RAVDESS, 1)),  # in file names
)
LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType(
    {one.name: one for one in (IEMOCAP4, IEMOCAP6, MELD7, EMORYNLP7, RAVDESS8)}
)


def label_set(name: str) -> LabelSet:
    """The label set of a name."""
    if name not in LABEL_SETS:
        raise UserError(f"There is no label set '{name}'; choose one of {', '.join(LABEL_SETS)}.")
    return LABEL_SETS[name]


def spoken_in(name: str, order: Sequence[str]) -> LabelSet:
    """The label set of a name that was written down with its labels' order; refused if it moved."""
    if name == OWN:
        return OwnWords(order)
    known = label_set(name)
    if tuple(order) != known.labels:
        raise UserError(
            f"This prediction has {', '.join(map(str, order))} as the labels of {name}, this "
            f"program {', '.join(known.labels)}; ask the system again."
        )
    return known


def mapping(source: LabelSet, target: LabelSet) -> dict[str, str | None]:
    """For each label of one set the label of another, or None where it is dropped.

    >>> mapping(IEMOCAP6, IEMOCAP4)["excited"], mapping(MELD7, IEMOCAP4)["surprise"]
    ('happy', None)
    """
    found: dict[str, str | None] = {}
    if source == target:
        return {label: label for label in source.labels}
    if OWN in (source.name, target.name):
        return dict.fromkeys(source.labels)
    by_emotion = {target.emotion(label): label for label in target.labels}
    for label in source.labels:
        emotion = source.emotion(label)
        found[label] = by_emotion.get(emotion, by_emotion.get(MERGES.get(emotion, "")))
    return found


def map_probabilities(
    probabilities: Sequence[float], source: LabelSet, target: LabelSet
) -> tuple[float, ...]:
    """Probabilities over one set's labels, in its order, as probabilities over another's.

    What merges is summed, what is dropped is left out, and the rest is scaled to sum to 1; a
    label of the target that nothing maps to gets 0.
    """
    if len(probabilities) != len(source.labels):
        raise UserError(
            f"{len(probabilities)} probabilities were given for the {len(source.labels)} labels "
            f"of {source.title}."
        )
    sums = dict.fromkeys(target.labels, 0.0)
    for probability, label in zip(probabilities, mapping(source, target).values(), strict=True):
        if not (math.isfinite(probability) and probability >= 0):
            raise UserError(f"A probability is {probability}; 0 to 1 was wanted.")
        if label is not None:
            sums[label] += float(probability)
    total = sum(sums.values())
    if total <= 0:
        raise UserError(
            f"All probability lies on labels of {source.title} that {target.title} has no match "
            "for; show the answer with its own labels."
        )
    return tuple(value / total for value in sums.values())


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of feeling, from -1 to 1, and the words at its ends."""

    name: str
    low: str
    high: str

    def canonical(self, value: float, low_end: float = 1.0, high_end: float = 5.0) -> float:
        """A rating on a corpus's scale as -1 to 1; a scale that runs down has low_end > high_end.

        >>> VALENCE.canonical(4), VALENCE.canonical(2, low_end=7, high_end=1)
        (0.5, 0.6666666666666667)
        """
        bottom, top = sorted((low_end, high_end))
        if not bottom <= value <= top or bottom == top:
            raise UserError(
                f"A rating of {self.name} is {value:g}, outside its scale from {bottom:g} to "
                f"{top:g}; name the corpus's own scale."
            )
        return 2 * (value - low_end) / (high_end - low_end) - 1

    def rating(self, value: float, low_end: float = 1.0, high_end: float = 5.0) -> float:
        """The reverse of ``canonical``; the value must lie within -1 to 1."""
        if not -1 <= value <= 1:
            raise UserError(f"A value of {self.name} is {value:g}; -1 to 1 was wanted.")
        return low_end + (value + 1) / 2 * (high_end - low_end)


VALENCE = Dimension("valence", "unpleasant", "pleasant")
AROUSAL = Dimension("arousal", "calm", "excited")
DOMINANCE = Dimension("dominance", "submissive", "dominant")
EXPECTANCY = Dimension("expectancy", "taken by surprise", "expecting it")
POWER = Dimension("power", "powerless", "in control")
DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {one.name: one for one in (VALENCE, AROUSAL, DOMINANCE, EXPECTANCY, POWER)}
)
