"""How features are asked for: a name and options, ``gemaps47:speaker_norm=both``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
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
        known = {one.name: one for one in fields(self.module.Options)}
        problems, kept = [], {}
        for key in sorted(self.options):
            value = self.options[key]
            if key not in known:
                choices = ", ".join(known) or "none"
                problems.append(f"{self.name} has no option '{key}' (its options: {choices})")
                continue
            try:
                value = _typed(known[key], value)
            except ValueError as exc:
                problems.append(f"{self.name}'s {key} is {value!r}; {exc}")
                continue
            if value != known[key].default:
                kept[key] = value
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


def _typed(one: Field[Any], value: Any) -> Any:
    """The value in the type of the option's default; a ValueError says what was wanted."""
    choices = one.metadata.get("choices") or ()
    assert one.default is not MISSING
    kind = type(one.default)
    try:
        if kind is bool:
            value = {"true": True, "false": False}[str(value).lower()]
        else:
            value = kind(value)
    except (KeyError, TypeError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}
        raise ValueError(f"{wanted.get(kind, 'text')} was wanted") from None
    if choices and value not in choices:
        raise ValueError(f"one of {', '.join(map(str, choices))} was wanted")
    return value
