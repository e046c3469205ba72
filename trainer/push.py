"""Putting a checkpoint on the Hugging Face Hub: its files, its card and its figures in one commit.

    config.json  model.safetensors  README.md  LICENSE  .eval_results/LABELS.yaml

Nothing is sent that is not named here. A repository is made private unless it is told otherwise,
and one that holds anything else, or is public already, is left alone. The commit names the one
that it follows, so that two people who push at once do not undo each other's. Weights whose hash
is not the one in ``config.json`` are not sent.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erc_demo import hub
from erc_demo.checkpoint import LAYOUT
from erc_demo.errors import UserError
from trainer import runs
from trainer.card import card, results, tidy
from trainer.terms import LICENCE, licence

CONFIG, WEIGHTS, README = "config.json", "model.safetensors", "README.md"
RESULTS = ".eval_results"
GIT = ".gitattributes"  # the Hub's own
SECONDS = 60.0  # the longest silence; weights are sent in pieces
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is sent: texts by their path in the repository, and the weights' file."""

    repo: str
    texts: Mapping[str, str]
    weights: Path
    public: bool = False

    @property
    def paths(self) -> list[str]:
        """Everything, sorted."""
        return sorted([*self.texts, WEIGHTS])


def pack(folder: Path, repo: str, *, benchmark: str = "", public: bool = False) -> Parcel:
    """What would be sent of a checkpoint's folder, or of a run's."""
    if not _NAME.fullmatch(repo) or ".." in repo or "--" in repo:
        raise UserError(f"'{repo}' is no repository of the Hub; OWNER/NAME was wanted.")
    place = _checkpoint(folder)
    config = runs.facts(place / CONFIG)
    if config.get("layout") != LAYOUT:
        raise UserError(
            f"{place / CONFIG} has layout {config.get('layout')!r}, and this program writes "
            f"{LAYOUT}; push the checkpoint as `fit` wrote it."
        )
    weights = place / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{place} holds no {WEIGHTS}; a whole checkpoint was wanted.")
    with weights.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != config.get("sha256"):
        raise UserError(
            f"{weights} is not the file that its {CONFIG} names (another sha256); push the "
            "checkpoint as it was written."
        )
    config = tidy(config)
    told = tidy(_with_figures(config, folder))
    owner, name = repo.split("/")
    texts = {
        CONFIG: json.dumps(config, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        README: card(told, name=name),
        LICENCE: licence(told),
    }
    labels = next(iter((config.get("design") or {}).get("labels") or ()), "dimensions")
    if entries := results(told, benchmark or f"{owner}/{labels}"):
        texts[f"{RESULTS}/{labels}.yaml"] = entries
    return Parcel(repo=repo, texts=texts, weights=weights, public=public)


def send(parcel: Parcel) -> str:
    """One commit; gives its address on the Hub."""
    if hub.told_offline():
        raise UserError(
            "HF_HUB_OFFLINE is set, and a push goes to the Hub; unset it, or see what would be "
            "sent with --dry-run."
        )
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # one way of sending, whose silences are timed
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import RepositoryNotFoundError

    if not get_token():
        raise UserError(
            f"{hub.endpoint()} takes nothing from strangers; log in with `hf auth login`, or set "
            "HF_TOKEN to a token that may write."
        )
    _time_silence()
    with _sentences(parcel.repo):
        api = HfApi(library_name="erc_demo")
        try:
            there = api.model_info(parcel.repo)
        except RepositoryNotFoundError:
            there = None
        if there is None:
            api.create_repo(parcel.repo, private=not parcel.public)
            head = api.model_info(parcel.repo).sha
        else:
            _same_purpose(parcel, [one.rfilename for one in there.siblings or ()], there.private)
            head = there.sha
        files: dict[str, bytes | str] = {path: text.encode() for path, text in parcel.texts.items()}
        files[WEIGHTS] = str(parcel.weights)
        done = api.create_commit(
            parcel.repo,
            [
                CommitOperationAdd(path_in_repo=path, path_or_fileobj=these)
                for path, these in sorted(files.items())
            ],
            commit_message="Push a checkpoint of erc_demo",
            parent_commit=head,
        )
    return str(done.commit_url)


def _checkpoint(folder: Path) -> Path:
    for place in (folder, folder / "checkpoint"):
        if (place / CONFIG).is_file():
            return place
    parts = [one.parent.parent.name for one in sorted(folder.glob(f"parts/*/checkpoint/{CONFIG}"))]
    if parts:
        raise UserError(
            f"{folder} has a checkpoint for each of {', '.join(parts)} and none of its own; name "
            f"one, such as {folder / 'parts' / parts[0] / 'checkpoint'}."
        )
    raise UserError(
        f"{folder} holds no checkpoint ({CONFIG} beside {WEIGHTS}); name the folder that `fit` "
        "wrote."
    )


def _with_figures(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The record with the run's figures, where it has none and the folder is a run's."""
    training = dict(config.get("training") or {})
    if not training.get("measures") and (folder / "metrics.json").is_file():
        found = runs.facts(folder / "metrics.json")
        training |= {
            key: found[key] for key in ("measures", "published", "reported") if found.get(key)
        }
    return config | {"training": training}


def _same_purpose(parcel: Parcel, there: list[str], private: bool | None) -> None:
    """A repository is written to if all that it holds is what an earlier push could have sent."""
    own = {*parcel.paths, GIT, LICENCE}
    other = sorted(one for one in there if one not in own and not one.startswith(f"{RESULTS}/"))
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        raise UserError(
            f"{parcel.repo} exists and holds other content ({', '.join(other[:3])}{more}); name a "
            "new repository."
        )
    if private is False and not parcel.public:
        raise UserError(
            f"{parcel.repo} exists and is public; add --public if everybody may see this one too, "
            "or name a new repository."
        )


def _time_silence() -> None:
    """Give every request of huggingface_hub a limit, also those that it makes without one."""
    import httpx2
    from huggingface_hub import set_client_factory

    def limited() -> httpx2.Client:
        def limit(request: httpx2.Request) -> None:
            request.extensions["timeout"] = dict.fromkeys(
                ("connect", "read", "write", "pool"), _silence()
            )

        return httpx2.Client(event_hooks={"request": [limit]}, follow_redirects=True)

    set_client_factory(limited)


def _silence() -> float:
    """Seconds; the Hub's own variable may shorten them."""
    told = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    return min(float(told), SECONDS) if told.isdecimal() else SECONDS


@contextmanager
def _sentences(repo: str) -> Iterator[None]:
    """What the Hub, or the way to it, says no to, as one sentence."""
    import httpx2
    from huggingface_hub import errors

    host = hub.endpoint()
    try:
        yield
    except errors.HfHubHTTPError as exc:
        status = exc.response.status_code
        said = str(exc.server_message or "").strip().partition("\n")[0].rstrip(".")
        why = f"HTTP {status}" + (f": {said}" if said else "")
        if status in (401, 403):
            raise UserError(
                f"{host} refuses the push to {repo} ({why}); use a token that may write there "
                "(`hf auth login`)."
            ) from exc
        if status in (409, 412):
            raise UserError(
                f"{repo} was changed by somebody while this was sent ({why}); look at it and push "
                "again."
            ) from exc
        raise UserError(f"{host} could not take the push to {repo} ({why}); try later.") from exc
    except httpx2.TimeoutException as exc:
        raise UserError(
            f"{host} was silent for more than {_silence():g} s during the push to {repo}; try "
            "again later."
        ) from exc
    except (httpx2.TransportError, ConnectionError) as exc:
        raise UserError(
            f"{host} can't be reached for the push to {repo} ({str(exc) or type(exc).__name__}); "
            "check the network and HF_ENDPOINT."
        ) from exc
    except json.JSONDecodeError as exc:
        raise UserError(
            f"What answers at {host} is not a Hugging Face Hub; check HF_ENDPOINT and the "
            "network's sign-in page."
        ) from exc
