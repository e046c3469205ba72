"""Plug points: a folder's listing is the registry, and a plug is imported only when asked for.

What a plug can be told is a frozen dataclass of plain values, each with a help text (``option``).
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from types import ModuleType
from typing import Any

from erc_demo.errors import UserError


def names(package: str) -> list[str]:
    """The public modules of a package, sorted, without importing any of them.

    >>> "rttm" in names("erc_demo.formats")
    True
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{package} is not a package")
    found = (module.name for module in pkgutil.iter_modules(spec.submodule_search_locations))
    return sorted(name for name in found if not name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """Import one plug by its public name; a wrong name lists the right ones."""
    known = names(package)
    if name not in known:
        kind = package.rpartition(".")[2]
        raise UserError(
            f"There is no '{name}' in {kind}; choose one of {', '.join(known) or '(none yet)'}."
        )
    return importlib.import_module(f"{package}.{name}")


def option(
    default: Any,
    help: str,
    choices: tuple[Any, ...] = (),
    *,
    least: float | None = None,
    below: float | None = None,
) -> Any:
    """A field of a plug's options: its default, what it means, and what it may be."""
    told = {"help": help, "choices": choices, "least": least, "below": below}
    return field(default=default, metadata=told)


def told(options: type, given: Mapping[str, Any], whose: str) -> tuple[dict[str, Any], list[str]]:
    """What was given, in the types of the options and but for the defaults; what was wrong."""
    known = {one.name: one for one in fields(options)}
    kept, problems = {}, []
    for key in sorted(given):
        value = given[key]
        if key not in known:
            choices = ", ".join(known) or "none"
            problems.append(f"{whose} has no option '{key}' (its options: {choices})")
            continue
        try:
            value = _typed(known[key], value)
        except ValueError as exc:
            problems.append(f"{whose}'s {key} is {value!r}; {exc}")
            continue
        if value != known[key].default:
            kept[key] = value
    return kept, problems


def _typed(one: Field[Any], value: Any) -> Any:
    """The value in the type of the option's default; a ValueError says what was wanted."""
    choices = one.metadata.get("choices") or ()
    assert one.default is not MISSING
    kind = type(one.default)
    try:
        if kind is bool:
            value = {"true": True, "false": False}[str(value).lower()]
        elif kind is int and float(value) != int(float(value)):
            raise ValueError
        else:
            value = kind(value)
    except (KeyError, TypeError, ValueError, OverflowError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}
        raise ValueError(f"{wanted.get(kind, 'text')} was wanted") from None
    if choices and value not in choices:
        raise ValueError(f"one of {', '.join(map(str, choices))} was wanted")
    least, below = one.metadata.get("least"), one.metadata.get("below")
    if least is not None and not value >= least:  # so that NaN is refused, too
        raise ValueError(f"{least:g} or more was wanted")
    if below is not None and not value < below:
        raise ValueError(f"less than {below:g} was wanted")
    return value
