"""Functions of the contract outside of any transaction: found by their Move names, called like plain functions."""

import hashlib
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_args

from walrus_sui.devnet.genesis import GenesisConfig, published_packages
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.runtime import ChainRules, Runtime
from walrus_sui.devnet.move.framework.coin import Balance, Coin
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext
from walrus_sui.devnet.testing.accounts import account

rt = Runtime(
    sender=account("alice").address,
    digest=hashlib.blake2b(b"internals", digest_size=32).digest(),
    rules=ChainRules(published_packages(GenesisConfig()), frozenset({1, 128})),
    load=lambda _: None,
    resolve=registry.resolve,
)
"""The transaction that all these functions run in; its sender is the account ``alice``."""


class ContractModule:
    """The functions of one Move module, by their names.

    Args:
        names: of the Python modules in `walrus_sui.devnet.move.walrus` that it is written in.
        fields: functions that Python does without.
    """

    def __init__(self, *names: str, **fields: Callable[..., Any]) -> None:
        modules = [importlib.import_module(f"walrus_sui.devnet.move.walrus.{name}") for name in names]
        own = [
            (name, item) for module in modules for name, item in vars(module).items() if _home(item) == module.__name__
        ]
        self._name = names[0]
        self._fields = fields
        self._functions = {name: item for name, item in own if inspect.isfunction(item)}
        self._classes = [item for _, item in own if inspect.isclass(item)]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def run(*arguments: Any, **named: Any) -> Any:
            if not arguments and named:  # what it works on is named first, like all the rest
                arguments = (named.pop(next(iter(named))),)
            found = self._find(name, arguments)
            return _called(found, arguments, named) if callable(found) else found

        run.__name__ = name
        return run

    def _find(self, name: str, arguments: Sequence[Any]) -> Any:
        """A function of the module, a method or field of the first argument, or a maker of one of its structs."""
        if name in self._fields:
            return self._fields[name]
        for spelled in (name, name.removesuffix("_mut")):
            if spelled in self._functions:
                return self._functions[spelled]
            if arguments and type(arguments[0]) in self._classes and hasattr(arguments[0], spelled):
                method = getattr(type(arguments[0]), spelled)
                return method if inspect.isfunction(method) else getattr(arguments[0], spelled)
            for cls in self._classes:
                if inspect.ismethod(getattr(cls, spelled, None)):
                    return getattr(cls, spelled)
        raise LookupError(f"{self._name} has no function {name} for these arguments")


def _home(item: Any) -> str:
    return str(getattr(item, "__module__", ""))


def _called(function: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any]) -> Any:
    rest, given = list(arguments), []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            if rest:
                named[parameter.name] = rest.pop(0)
            continue
        if parameter.name in {"rt", "_rt"}:
            given.append(rt)
        elif parameter.name in named:
            given.append(_read(parameter.annotation, named.pop(parameter.name)))
        elif rest:
            given.append(_read(parameter.annotation, rest.pop(0)))
    return function(*given, *rest, **named)


def _read(annotation: Any, value: Any) -> Any:
    if isinstance(value, dict):
        rewards = Balance in get_args(annotation)
        return {key: _read(Balance, item) if rewards else item for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        if annotation in {Balance, "Balance"}:
            return Balance(value)
        if annotation in {Coin, "Coin"}:
            return Coin(rt.new_uid(), Balance(value))
        if annotation is WalrusContext:
            return WalrusContext(value, committee_selected=False)
    return value
