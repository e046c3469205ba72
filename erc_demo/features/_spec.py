"""How features are asked for: a name and options, ``gemaps47:speaker_norm=both``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from erc_demo import plugs
from erc_demo.errors import UserError, listed

PACKAGE = "erc_demo.features"


@dataclass(frozen=True, slots=True)
class Spec:
    """An extractor's name and those of its options that differ from the default."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept, problems = plugs.told(self.module.Options, self.options, self.name)
        if problems:
            raise UserError(f"These features can't be made: {listed(problems)}.")
        object.__setattr__(self, "options", MappingProxyType(kept))

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        return parse, (self.text,)

    @property
    def module(self) -> Any:
        """The extractor's file, imported."""
        return plugs.load(PACKAGE, self.name)

    @property
    def text(self) -> str:
        """The one way to write it: what ``parse`` reads, and what a checkpoint holds."""
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    @property
    def raw(self) -> Spec:
        """The same without the speaker's normalisation, which is done on the rows."""
        return self.but(speaker_norm="off") if "speaker_norm" in self.options else self

    def but(self, **options: Any) -> Spec:
        """The same with some options changed."""
        return Spec(self.name, {**self.options, **options})

    def filled(self) -> Any:
        """The ``Options``, defaults filled in."""
        return self.module.Options(**self.options)


def parse(text: str) -> Spec:
    """Read ``name`` or ``name:option=value,option=value``.

    >>> parse("gemaps47: speaker_norm=both").text
    'gemaps47:speaker_norm=both'
    """
    name, _, rest = text.strip().partition(":")
    options: dict[str, str] = {}
    last = ""
    for part in rest.split(",") if rest.strip() else []:
        key, sign, value = part.partition("=")
        if sign:
            last = key.strip()
            if last in options:
                raise UserError(f"'{text}' gives {last} twice; give it once.")
            options[last] = value.strip()
        elif last:  # a comma inside a value, as a folder's name may have
            options[last] += f",{part}"
        else:
            raise UserError(
                f"'{part}' in '{text}' is no option; name:option=value,option=value was wanted."
            )
    return Spec(name.strip(), options)
