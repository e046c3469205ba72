"""Lets torchaudio import where its compiled part does not fit the installed torch.

The registry's torchaudio is built for one CUDA release. Beside a torch for the CPU, or for
another CUDA, ``import torchaudio`` raises, and with it speechbrain and every model class of
transformers, although pip finds nothing wrong. Nothing in this program needs the compiled part.

So one module, ``torchaudio._extension``, is given a loader that runs the real module and, only
if that fails, fills in the names that torchaudio says about itself when it was built without
its compiled part. A healthy torchaudio runs untouched. Installing the finder imports nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import FunctionType, ModuleType

GUARDED = "torchaudio._extension"


class _Loader(SourceFileLoader):
    """Runs the module; a compiled part that does not load leaves the module without one."""

    def exec_module(self, module: ModuleType) -> None:
        try:
            super().exec_module(module)
        except ModuleNotFoundError:  # torch itself is absent: nothing to stand in for
            raise
        except (OSError, ImportError, RuntimeError) as exc:
            _go_without(module, exc)


class _Finder:
    """Answers for ``torchaudio._extension`` alone, with the place where it really lies.

    No subclass of MetaPathFinder, which needs nothing but this method and costs 28 ms to import.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != GUARDED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def _go_without(module: ModuleType, cause: Exception) -> None:
    """Say of torchaudio what it says itself when it was built without its compiled part."""

    def fail_if_no_align(function: FunctionType) -> Callable[..., object]:
        def fail(*args: object, **kwargs: object) -> object:
            raise RuntimeError(
                f"torchaudio's {function.__name__} needs its compiled part, which did not load "
                f"({cause}); install a torchaudio that was built for this torch."
            ) from cause

        return fail

    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=fail_if_no_align,
        went_without=cause,
    )


def install() -> None:
    """Put the finder first, once; call it before torchaudio is imported by anyone."""
    if not installed():
        sys.meta_path.insert(0, _Finder())


def installed() -> bool:
    """Whether the finder is in place in this process."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def cause() -> Exception | None:
    """Why the compiled part was gone without; None where it loaded or was not yet asked for."""
    return getattr(sys.modules.get(GUARDED), "went_without", None)
