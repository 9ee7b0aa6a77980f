"""The comparison that decides about writes: what was just applied is never written again, what differs always is."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from walrus_operator.apply.drift import contains

scalars = st.one_of(st.booleans(), st.integers(-5, 5), st.sampled_from(["", "a", "b", "10Gi", "100m"]))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["k", "l", "m", "limits"]), inner, max_size=3)
    ),
    max_leaves=12,
)
manifests = st.dictionaries(st.sampled_from(["spec", "data", "metadata"]), values, max_size=3)


def defaulted(value: Any, *, extra: Any) -> Any:
    """What an API server might answer: every object has further fields."""
    if isinstance(value, dict):
        return {**{key: defaulted(entry, extra=extra) for key, entry in value.items()}, "zDefault": extra}
    if isinstance(value, list):
        return [defaulted(entry, extra=extra) for entry in value]
    return value


@given(manifest=manifests)
def test_a_value_contains_itself(manifest: dict[str, Any]) -> None:
    assert contains(copy.deepcopy(manifest), manifest)


@given(manifest=manifests, extra=scalars)
def test_fields_that_others_add_do_not_matter(manifest: dict[str, Any], extra: Any) -> None:
    live = {**defaulted(manifest, extra=extra), "status": {"anything": 1}}
    assert contains(live, manifest)


@given(manifest=manifests, data=st.data())
def test_a_changed_leaf_is_always_noticed(manifest: dict[str, Any], data: st.DataObject) -> None:
    leaves = list(paths(manifest))
    if not leaves:
        return
    path = data.draw(st.sampled_from(leaves))
    live = copy.deepcopy(manifest)
    target: Any = live
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = "something else"
    assert not contains(live, manifest)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in items:
        if isinstance(entry, dict | list):
            yield from paths(entry, (*prefix, key))
        else:
            yield (*prefix, key)
