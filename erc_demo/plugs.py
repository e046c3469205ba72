"""Plug points: a folder's listing is the registry, and a plug is imported only when asked for."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType

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
