"""Which manifests must be written: those with a desired field that the live object lacks. Pure.

The API server adds defaults and other controllers add fields, so the comparison asks only whether the live object contains
the desired one. Quantities are equal when their values are ("1Gi" and "1024Mi"); an empty value and an absent one are
equal; an empty object asks for nothing. A field that is no longer desired is found by the digest annotation that `build` puts on every manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from walrus_operator.api.base import quantity
from walrus_operator.api.world import Manifest, ObjectKey

_QUANTITY_PARENTS = frozenset({"requests", "limits", "capacity"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "storage"})


def contains(live: Any, desired: Any, *, path: tuple[str, ...] = ()) -> bool:
    """Whether every desired field stands in the live value."""
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            return live is None and all(_empty(value) for value in desired.values())
        return all(contains(live.get(key), value, path=(*path, str(key))) for key, value in desired.items())
    if _empty(desired):
        return _empty(live)
    if isinstance(desired, list | tuple):
        return _contains_list(live, desired, path)
    if live == desired and isinstance(live, bool) == isinstance(desired, bool):
        return True
    return _is_quantity(path) and _same_quantity(live, desired)


def _contains_list(live: Any, desired: list[Any] | tuple[Any, ...], path: tuple[str, ...]) -> bool:
    if not isinstance(live, list | tuple):
        return False
    if path[-1:] == ("ownerReferences",):
        # Others may add owners of their own; ours must be there as written.
        return all(any(contains(entry, wanted, path=path) for entry in live) for wanted in desired)
    if len(live) != len(desired):
        return False
    return all(contains(entry, wanted, path=path) for entry, wanted in zip(live, desired, strict=True))


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping | list | tuple | str) and not value)


def _is_quantity(path: tuple[str, ...]) -> bool:
    return (path[-2:-1] != () and path[-2] in _QUANTITY_PARENTS) or (path[-1:] != () and path[-1] in _QUANTITY_FIELDS)


def _same_quantity(live: Any, desired: Any) -> bool:
    if not isinstance(live, str | int | float) or not isinstance(desired, str | int | float):
        return False
    value = quantity(live)
    return value is not None and value == quantity(desired)


def key_of(manifest: Manifest) -> ObjectKey:
    """Kind and name."""
    return ObjectKey(manifest["kind"], manifest["metadata"]["name"])


def missing(manifests: Iterable[Manifest], live: Mapping[ObjectKey, Manifest]) -> list[Manifest]:
    """The manifests that must be applied, in their order."""
    return [manifest for manifest in manifests if not contains(live.get(key_of(manifest)), manifest)]
