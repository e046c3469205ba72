"""Several corpora as one: whose names are whose, what is learned of each, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpora import several

from erc_demo.emotions import MELD7
from erc_demo.errors import UserError
from trainer.datasets import Ask, open_corpus

ASK = Ask(labels=("meld7",))


def test_each_corpus_keeps_its_own_names_and_gets_its_part(tmp_path: Path) -> None:
    whole = open_corpus(f"several:{several.make(tmp_path)}", ASK)
    kinds = {one.name.partition("/")[0] for one in whole.dialogues}
    assert kinds == {"meld", "dailydialog"}
    assert whole.parts == ("meld:meld", "dailydialog:dailydialog")
    for one in whole.dialogues:
        kind = one.name.partition("/")[0]
        assert all(each.startswith(f"{kind}/") for each in one.ids)
        assert all(not each or each.startswith(f"{kind}/") for each in one.people)
        assert one.split == "train" if kind == "meld" else one.split in ("validation", "test")
    alone = open_corpus(f"meld:{tmp_path / 'meld'}", ASK)
    mine = {one.name: one for one in whole.dialogues}
    for one in alone.dialogues:
        assert (f"meld/{one.name}" in mine) == (one.split != "test")
        if one.split != "test":
            assert np.array_equal(mine[f"meld/{one.name}"].labels["meld7"], one.labels["meld7"])


def test_labels_that_are_not_wanted_stay_as_context(tmp_path: Path) -> None:
    whole = open_corpus(f"several:{several.make(tmp_path)}", ASK)
    alone = open_corpus(f"dailydialog:{tmp_path / 'dailydialog'}", ASK)
    surprise = MELD7.labels.index("surprise")
    before = np.concatenate([one.labels["meld7"] for one in alone.dialogues])
    after = np.concatenate(
        [one.labels["meld7"] for one in whole.dialogues if one.name.startswith("dailydialog/")]
    )
    assert (before == surprise).any()
    assert np.array_equal(after, np.where(before == surprise, -1, before))


def test_a_corpus_may_teach_one_label_set_and_be_judged_by_none(tmp_path: Path) -> None:
    file = Path(several.make(tmp_path))
    more = file.read_text().replace('"train", "dev"]', '"train", "dev"]\nlabels = ["meld7"]')
    file.write_text(more + "taught = true\nlabels = ['iemocap6']\n")
    whole = open_corpus(f"several:{file}", Ask(labels=("iemocap6", "meld7")))
    for one in whole.dialogues:
        meld = one.name.startswith("meld/")
        assert one.labelled("iemocap6" if meld else "meld7") == 0
        assert one.taught != meld and (meld or (one.split, one.session) == ("train", ""))
    assert sum(one.labelled("meld7") for one in whole.dialogues)
    assert sum(one.labelled("iemocap6") for one in whole.dialogues)


def test_a_path_may_begin_with_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(several.make(tmp_path / "corpora"))
    plain = open_corpus(f"several:{file}", ASK)
    elsewhere = tmp_path / "list.toml"
    elsewhere.write_text(
        file.read_text()
        .replace('"meld:', '"meld:$HERE/')
        .replace('"dailydialog:', '"dailydialog:${HERE}/')
    )
    with pytest.raises(UserError, match="variable HERE, which is not set"):
        open_corpus(f"several:{elsewhere}", ASK)
    monkeypatch.setenv("HERE", str(tmp_path / "corpora"))
    assert open_corpus(f"several:{elsewhere}", ASK).sha256 == plain.sha256
    assert open_corpus("several:$HERE/several.toml", ASK).sha256 == plain.sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("corpus = 3", "names no corpus"),
        ("[[corpus", "is not TOML"),
        ('[[corpus]]\ndata = "meld"', "KIND:PATH was wanted"),
        ('[[corpus]]\ndata = "several:x.toml"', "itself a list"),
        ('[[corpus]]\ndata = "meld:meld"\npart = "all"', "part = 'all'"),
        ('[[corpus]]\ndata = "meld:meld"\nonly = "train"', "a list of words"),
        ('[[corpus]]\ndata = "meld:meld"\nweight = 3', "has 'weight'"),
        ('[[corpus]]\ndata = "meld:meld"\ntaught = 1', "true or false"),
        ('[[corpus]]\ndata = "meld:meld"\nlabels = "meld7"', "a list of words"),
        ('[[corpus]]\ndata = "meld:meld"\nlabels = ["meld9"]', "teaches 'meld9'"),
        ('[[corpus]]\ndata = "meld:nowhere"', "does not exist"),
        ('[[corpus]]\ndata = "dailydialog:dailydialog"\nonly = ["train"]', "has no dialogue in"),
    ],
)
def test_a_list_that_can_not_be_used(tmp_path: Path, text: str, said: str) -> None:
    file = Path(several.make(tmp_path))
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        open_corpus(f"several:{file}", ASK)
