"""Imports without what comes along unasked: libraries import all of their halves, and each module stays in memory for good.

Two means, both harmless where the library is made otherwise one day: nothing is left out then, and nothing fails.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


def leave_unfilled(package: str) -> None:
    """Lets subpackages of a package be imported without what its own `__init__` imports; that runs when somebody needs it.

    To be called before the first import of the package; otherwise it does nothing.

    Args:
        package: its name, without a dot.
    """
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    loader = None if spec is None else spec.loader
    if spec is None or loader is None:
        return
    module = importlib.util.module_from_spec(spec)

    def filled(name: str) -> Any:
        # What begins with "__" the import system asks for, and a subpackage that is being imported it finds by itself.
        if name.startswith("__") or f"{package}.{name}" in sys.modules or "__getattr__" not in vars(module):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        del vars(module)["__getattr__"]
        loader.exec_module(module)
        return getattr(module, name)

    vars(module)["__getattr__"] = filled
    sys.modules[package] = module


@contextmanager
def without(module: str) -> Iterator[None]:
    """Within it an optional module seems not to be installed, unless it is loaded already.

    Args:
        module: its full name.
    """
    if module in sys.modules:
        yield
        return
    cast("dict[str, Any]", sys.modules)[module] = None  # Python's own sign for "not to be found"
    try:
        yield
    finally:
        del sys.modules[module]
