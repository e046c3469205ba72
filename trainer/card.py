"""A checkpoint's model card: Markdown under YAML front matter, as the Hugging Face Hub reads it.

Everything in it is told by the checkpoint's ``config.json``: the design, the features that it reads
with their terms of use, and the record of its training. Figures stand in ``model-index``, which the
Hub draws beside the card; ``results`` writes the same for the Hub's newer scheme,
``.eval_results/*.yaml``, whose entries name a benchmark dataset. Paths of the machine that trained
are cut to their last part. What the record does not tell is left out, never guessed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from erc_demo import plugs
from erc_demo.emotions import LABEL_SETS, label_set
from erc_demo.errors import UserError
from trainer.terms import LICENCE, corpora, licence, told

ALIKE = "trainings by the same settings that left this part out"
SELECTED = (
    "the epoch was selected on the part that is reported, as the paper did: it flatters the system"
)
TITLES = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "ua": "unweighted accuracy (UA)",
    "wa": "weighted accuracy (WA)",
    "nll": "negative log-likelihood",
    "ece": "calibration error (ECE)",
    "ccc": "concordance (CCC)",
    "pearson": "Pearson's r",
    "mae": "mean absolute error",
    "loss": "loss",
}
_HUB = {"weighted_f1": "f1", "macro_f1": "f1", "wa": "accuracy", "ua": "recall"}  # its own names


def card(config: Mapping[str, Any], *, name: str) -> str:
    """README.md of a checkpoint, from what its ``config.json`` holds."""
    config = tidy(config)
    design = config.get("design") or {}
    system = str(design.get("system", ""))
    module = plugs.load("erc_demo.systems", system)
    training = config.get("training") or {}
    parts = [
        f"---\n{_front(config, name)}---",
        f"# {name}",
        f"{module.ABOUT} A checkpoint of `erc_demo`'s system `{system}`, after {module.PAPER}",
        *_use(name, design),
        *_figures(training),
        *_sureness(config),
        *_record(training),
        *_limits(training, design),
        *_terms(config),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def results(config: Mapping[str, Any], benchmark: str) -> str:
    """``.eval_results/*.yaml``: an entry a measure, of a task by the measure's name.

    ``benchmark`` is the Hub's dataset, OWNER/NAME, or OWNER/NAME:TASK where all is one task.
    """
    dataset, _, task = benchmark.partition(":")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", dataset, re.ASCII):
        raise UserError(
            f"--benchmark is '{benchmark}'; OWNER/DATASET or OWNER/DATASET:TASK on the Hub was "
            "wanted."
        )
    training = tidy(config).get("training") or {}
    if training.get("measured"):
        return _elsewhere(training["measured"], dataset, task)
    notes = "; ".join(filter(None, [told(training, "protocol"), told(training, "reported")]))
    entries = []
    for measure, one in _measures(training.get("measures")).items():
        if measure == "loss":  # a benchmark ranks what is better high
            continue
        where = {"id": dataset, "task_id": task or measure}
        entry: dict[str, Any] = {"dataset": where, "value": round(one["mean"], 4)}
        said = "; ".join(filter(None, [TITLES.get(measure, measure), notes, _several(one)]))
        entries.append(entry | {"notes": said})
    return str(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)) if entries else ""


def _elsewhere(measured: list[Mapping[str, Any]], dataset: str, task: str) -> str:
    """Entries of a checkpoint whose figures are of other trainings by its plan."""
    entries = []
    for one in measured:
        for measure, figure in _measures(one["measures"]).items():
            notes = "; ".join(filter(None, [TITLES.get(measure, measure), _where(one), ALIKE]))
            where = {"id": dataset, "task_id": task or measure}
            entries.append({"dataset": where, "value": round(figure["mean"], 4), "notes": notes})
    return str(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)) if entries else ""


def _where(one: Mapping[str, Any]) -> str:
    """What a figure from elsewhere was measured on."""
    seeds = f"{one['seeds']} seed{'s' if one['seeds'] > 1 else ''}"
    return ", ".join(filter(None, [one["where"], one.get("words"), seeds]))


def tidy(value: Any) -> Any:
    """A copy in which absolute paths are cut to their last part.

    >>> tidy({"plan": 'data = "table:/home/me/corpora/iemocap"'})
    {'plan': 'data = "table:iemocap"'}
    """
    if isinstance(value, Mapping):
        return {key: tidy(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(one) for one in value]
    if isinstance(value, str):
        return _PATH.sub(lambda found: found["last"], value)
    return copy.copy(value)


# from the root, a home or a drive; a "/" within a word (owner/name, CC/2) begins no path
_PATH = re.compile(
    r"(?<![\w/.\\])(?:~|[A-Za-z]:)?[/\\](?:[^\"'\s/\\]+[/\\])+(?P<last>[^\"'\s/\\]+)"
)


def _front(config: Mapping[str, Any], name: str) -> str:
    design, training = config.get("design") or {}, config.get("training") or {}
    measures = _measures(training.get("measures"))
    titles = [one.title for one in corpora(training, design)]
    front: dict[str, Any] = {
        "language": "en",
        "license": "other",
        "license_name": "research-only",
        "license_link": LICENCE,
        "library_name": "erc_demo",
        "pipeline_tag": "audio-classification",
        "tags": ["emotion-recognition", "conversation", "speech", str(design.get("system", ""))],
    }
    said = ", ".join(titles) or "a corpus of its own"
    index = [_result(said, told(training, "labels", design), told(training, "reported"), measures)]
    if measured := training.get("measured") or []:
        index = [
            _result(one["where"], one["labels"], _where(one), _measures(one["measures"]))
            for one in measured
        ]
    if measures or measured:
        types = [metric["type"] for one in index for metric in one["metrics"]]
        front["metrics"] = list(dict.fromkeys(types))
        front["model-index"] = [{"name": name, "results": index}]
    return str(yaml.safe_dump(front, sort_keys=False, allow_unicode=True))


def _result(
    said: str, labels: str, split: str, measures: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """One entry of ``model-index``."""
    dataset = {"type": _slug(said), "name": f"{said} ({labels})"}
    return {
        "task": {"type": "audio-classification", "name": "Emotion recognition"},
        "dataset": dataset | ({"split": split} if split else {}),
        "metrics": [
            {
                "type": _HUB.get(measure, measure),
                "value": round(one["mean"], 4),
                "name": TITLES.get(measure, measure),
            }
            for measure, one in measures.items()
        ],
    }


def _use(name: str, design: Mapping[str, Any]) -> Iterator[str]:
    labels = [LABEL_SETS[one] for one in design.get("labels") or () if one in LABEL_SETS]
    said = [f"{one.title}: {', '.join(one.labels)}" for one in labels]
    said += [", ".join(design.get("dimensions") or ())] if design.get("dimensions") else []
    reads = [f"- {one}: {', '.join(these)}" for one, these in (design.get("inputs") or {}).items()]
    yield "## Use"
    yield f"```sh\npython -m erc_demo analyze RECORDING --systems {name}\n```"
    yield f"where `{name}` is the folder of this checkpoint. It says {'; '.join(said) or '?'}."
    if reads:
        yield "It reads:\n\n" + "\n".join(reads)


def _figures(training: Mapping[str, Any]) -> Iterator[str]:
    measures = _measures(training.get("measures"))
    published = _measures(training.get("published"))
    yield "## Figures"
    if measured := training.get("measured"):
        yield from _table(measured)
        return
    if not measures:
        yield "None were recorded when it was trained."
        return
    lines = ["| measure | value |" + (" as published |" if published else "")]
    lines += ["| --- | --- |" + (" --- |" if published else "")]
    for measure, one in measures.items():
        beside = f" {_figure(published.get(measure))} |" if published else ""
        lines.append(f"| {TITLES.get(measure, measure)} | {_figure(one)} |{beside}")
    yield "\n".join(lines)
    where = [f"{word} {told(training, key)}" for key, word in _WHERE if told(training, key)]
    yield f"Measured {'; '.join(where)}." if where else "The part they come from is not recorded."
    if published:
        yield f"In the column “as published” {SELECTED}."


def _table(measured: list[Mapping[str, Any]]) -> Iterator[str]:
    """Figures of other trainings by the same plan, a line for each part that they left out."""
    names = list(dict.fromkeys(key for one in measured for key in one["measures"]))
    lines = [f"| measured on | {' | '.join(TITLES.get(one, one) for one in names)} |"]
    lines.append("| --- " * (1 + len(names)) + "|")
    for one in measured:
        figures = _measures(one["measures"])
        cells = [_short(figures.get(name)) for name in names]
        lines.append(f"| {' | '.join([_where(one), *cells])} |")
    yield "\n".join(lines)
    yield (
        f"These are of {ALIKE}: the mean, ± the deviation over seeds. This checkpoint itself "
        "learned from all of it, so nothing can be reported of it there."
    )


def _short(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "–"
    return f"{one['mean']:.3f}" + (f" ± {one['sd']:.3f}" if one.get("sd") else "")


def _sureness(config: Mapping[str, Any]) -> Iterator[str]:
    """How far its chances are to be believed, where that was learned."""
    told = (config.get("training") or {}).get("calibration") or {}
    said = [f"- {calibrated(name, found)}" for name, found in told.items()]
    least = (config.get("calibration") or {}).get("trust_words")
    if least:
        said.append(
            f"- A turn whose recognised words have a mean confidence below {least:.2f} is answered "
            "without them, by the voice."
        )
    if said:
        yield "## How sure it is"
        yield "\n".join(said)


def calibrated(name: str, found: Mapping[str, Any]) -> str:
    """What calibrating the chances of one label set came to, as ``calibration.learned`` says it."""
    title = label_set(name).title
    by = f" (by {found['by']})" if "by" in found else ""
    if "why_not" in found:
        return f"{title}: nothing was learned{by}: {found['why_not']}."
    before, after = found["ece"]
    wrong = "" if found["risk"] is None else f", and {found['risk']:.0%} of those are wrong"
    return (
        f"{title}: temperature {found['temperature']:.2f} by {found['turns']} turns{by}, where the "
        f"calibration error (ECE, 15 bins of equal mass) was {before:.3f} and is {after:.3f}. It "
        f"is unsure below {found['unsure_below']:.2f}: there {found['coverage']:.0%} of the turns "
        f"are answered{wrong} (of all {found['risk_of_all']:.0%})."
    )


_WHERE = (
    ("data", "on"),
    ("labels", "with the labels"),
    ("protocol", "by the protocol"),
    ("reported", "on"),
    ("selected_on", "the epoch selected on"),
)
_FACTS = (
    *("data", "labels", "protocol", "seed", "epochs", "selected_on"),
    *("split_sha256", "data_sha256", "commit"),
)


def _record(training: Mapping[str, Any]) -> Iterator[str]:
    yield "## Training"
    facts = [f"- {key}: `{told(training, key)}`" for key in _FACTS if told(training, key)]
    versions = training.get("versions") or {}
    if isinstance(versions, Mapping) and versions:
        facts.append("- versions: " + ", ".join(f"{key} {one}" for key, one in versions.items()))
    yield "\n".join(facts) or "Nothing was recorded."
    if plan := str(training.get("plan") or "").strip():
        yield f"The plan, which `python -m trainer fit` takes:\n\n```toml\n{plan}\n```"


_RAW = "Its probabilities are often wrong where they are high; read them with its figures."
_BELIEVED = (
    "Its probabilities were held against turns like those that it learned from; elsewhere they may "
    "promise too much."
)


def _limits(training: Mapping[str, Any], design: Mapping[str, Any]) -> Iterator[str]:
    heard = "; ".join(f"{one.title}, {one.speech}" for one in corpora(training, design))
    yield "## Intended use and limits"
    yield "\n".join(
        [
            "- For research on emotion in conversation, and for teaching how such systems work.",
            "- Not for decisions about people: not in hiring, schooling, policing, health, credit, "
            "nor to watch anybody who has not agreed to it.",
            f"- It learned from {heard or 'one corpus'}. Other people, languages, rooms, "
            "microphones and spontaneous speech are outside of what its figures say.",
            "- Its labels are how raters judged an expression; they are not what somebody felt. "
            "Raters disagree, and the label is their majority.",
            f"- {_BELIEVED if training.get('calibration') else _RAW}",
            "- How it fares with groups of people (age, accent, gender) was not measured unless it "
            "is said above.",
        ]
    )


def _terms(config: Mapping[str, Any]) -> Iterator[str]:
    yield "## Terms"
    yield licence(config)


def _measures(given: Any) -> dict[str, dict[str, Any]]:
    """Measures as mean, sd, low, high, each: what a record has of them."""
    found = {}
    for measure, one in given.items() if isinstance(given, Mapping) else ():
        one = one if isinstance(one, Mapping) else {"mean": one}
        if isinstance(one.get("mean"), int | float) and not isinstance(one["mean"], bool):
            found[str(measure)] = dict(one)
    return found


def _figure(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "–"
    several = _several(one)
    return f"{one['mean']:.3f}" + (f" ({several})" if several else "")


def _several(one: Mapping[str, Any]) -> str:
    """How sure a figure is, as words."""
    seeds = len(one.get("each") or ())
    said = [f"sd {one['sd']:.3f} over {seeds} seeds"] if seeds > 1 and one.get("sd") else []
    if one.get("low") is not None and one.get("high") is not None:
        said.append(f"95 % {one['low']:.3f} to {one['high']:.3f}")
    return ", ".join(said)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
