"""Examples of the comparison that decides about writes."""

from __future__ import annotations

from walrus_operator.api.world import ObjectKey
from walrus_operator.apply.drift import contains, missing


def test_quantities_are_equal_by_value() -> None:
    desired = {"resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}, "limits": {"memory": 1073741824}}}
    live = {"resources": {"requests": {"cpu": "1", "memory": "1024Mi"}, "limits": {"memory": "1Gi"}}}
    assert contains(live, desired)
    assert not contains({"resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}, desired)


def test_text_that_looks_like_a_quantity_is_text_elsewhere() -> None:
    assert not contains({"data": {"size": "1Gi"}}, {"data": {"size": "1024Mi"}})
    assert contains({"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"sizeLimit": "1024Mi"}})


def test_an_absent_list_equals_an_empty_one_and_a_false_differs_from_zero() -> None:
    assert contains({}, {"ingress": []})
    assert not contains({"ingress": [{"ports": []}]}, {"ingress": []})
    assert not contains({"x": 0}, {"x": False})
    assert contains({"x": False}, {"x": False})


def test_other_owners_do_not_matter_but_ours_must_be_there() -> None:
    ours = {"ownerReferences": [{"uid": "a", "kind": "WalrusNetwork"}]}
    both = {"ownerReferences": [{"uid": "b", "kind": "Other"}, {"uid": "a", "kind": "WalrusNetwork"}]}
    assert contains(both, ours)
    assert not contains({"ownerReferences": [{"uid": "b", "kind": "Other"}]}, ours)


def test_missing_lists_what_must_be_written_in_order() -> None:
    wanted = [
        {"kind": "Service", "metadata": {"name": "a"}, "spec": {"x": 1}},
        {"kind": "Service", "metadata": {"name": "b"}, "spec": {"x": 1}},
        {"kind": "Service", "metadata": {"name": "c"}, "spec": {"x": 1}},
    ]
    live = {
        ObjectKey("Service", "b"): {**wanted[1], "status": {}},
        ObjectKey("Service", "c"): {"kind": "Service", "metadata": {"name": "c"}, "spec": {"x": 2}},
    }
    assert [manifest["metadata"]["name"] for manifest in missing(wanted, live)] == ["a", "c"]
