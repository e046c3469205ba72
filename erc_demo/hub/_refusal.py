"""What the Hub, or the way to it, says no to: one sentence, and whether another try may help.

Nothing of what a server wrote is repeated: it may hold the token that it was sent.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from erc_demo.errors import UserError

COPY = "or copy the model's folder to this machine and name that folder"


class Lacks(UserError):
    """The model is there, and has not the files that were asked for; ``there`` are those it has."""

    def __init__(self, sentence: str, there: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.there = there


class Unreachable(UserError):
    """Nobody answered, or not as a Hub does: what is here already may serve instead.

    ``why`` is the sentence without its advice.
    """

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(f"{why}; {advice}.")
        self.why = why


def endpoint() -> str:
    """The host that is asked, for sentences; a password in the address is left out."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    port = f":{address.port}" if address.port else ""
    return f"{address.hostname}{port}"


def refusal(ref: str, problem: str, detail: str, cache: object) -> UserError:
    """The exception for one of the asking process's words; no ``ref``: the Hub as such."""
    host, model = endpoint(), f"the model {ref}" if ref else "its models"
    login = "log in with `hf auth login`"
    passing = {
        "unreachable": (f"{host} can't be reached for {model} ({detail})", "check the network"),
        "silent": (
            f"{host} was silent for more than {detail} s when asked for {model}",
            "try again later",
        ),
        "late": (
            f"Fetching {model} from {host} took longer than {detail} s",
            "raise fetch_seconds",
        ),
        "broken": (f"{host} could not serve {model} ({detail})", "try again later"),
        "stranger": (
            f"What answers at {host} is not a Hugging Face Hub ({detail})",
            "check HF_ENDPOINT and the network's sign-in page",
        ),
    }
    if problem in passing:
        why, advice = passing[problem]
        return Unreachable(why, f"{advice}, {COPY}" if ref else advice)
    return UserError(
        {
            "gated": f"The model {ref} on {host} is given only to those who accepted its terms; "
            f"accept them on its page and {login}, {COPY}.",
            "refused": f"{host} refuses {model} ({detail}); {login}, {COPY}.",
            "absent": f"{host} has no model {ref} that you may see, and there is no such folder "
            f"here; check the name, or {login} if it is a private one.",
            "revision": f"The model {ref} on {host} has no such revision; check what stands after "
            "@.",
            "size": f"{host} sent a file of {model} of another size than it announced; nothing "
            f"was kept; try again later, {COPY}.",
            "disk": f"The model {ref} can't be stored in {cache} ({detail}); free some room, or "
            "set HF_HOME to a folder that can be written.",
        }[problem]
    )
