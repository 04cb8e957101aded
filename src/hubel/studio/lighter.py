"""Import Gradio without what a page of ours has no use for, in less than half the time. Depends on nothing.

CPU seconds of `import gradio` (6.31): 2.5 as it is; 1.5 when it does not parse the sources of all its components and compare
them with type stubs that it writes beside them, which it does each time; 1.2 with pandas put off until somebody asks for it,
1.05 with Hugging Face's clients put off too. A Gradio that is built otherwise is imported as it is.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

LATER = ("pandas", "gradio.external_utils")


def import_gradio() -> None:
    """Import Gradio, if that has not been done, told to send nothing anywhere; afterwards imports are what they were."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "gradio" in sys.modules:
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module("gradio")
    finally:
        sys.meta_path.remove(finder)
        for name in LATER:  # only Gradio's modules hold the place holders: whoever imports these now gets themselves
            if isinstance(sys.modules.get(name), _Later):
                del sys.modules[name]


class _Later(ModuleType):
    """Stands for a module until one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked by the import system itself
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if fullname in LATER:
            return importlib.machinery.ModuleSpec(fullname, self)
        if fullname == "gradio.component_meta":
            spec = importlib.machinery.PathFinder.find_spec(fullname, path)
            if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
                spec.loader = _NoStubs(spec.loader.name, spec.loader.path)
            return spec
        return None

    def create_module(self, spec: Any) -> ModuleType:
        return _Later(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _NoStubs(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if hasattr(module, "create_or_modify_pyi"):
            module.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]
