"""From models to CRDs: structural OpenAPI schemas, printer columns, root rules.

pydantic writes JSON Schema; the API server wants its own dialect ("structural schema"): no references, no null types, no
`additionalProperties: false` (unknown fields are refused by strict field validation and pruned otherwise), defaults
without absent fields, `x-kubernetes-*` extensions. `structural` translates; `crds` puts the three kinds together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from walrus_operator.api import epoch, network, network_status, node
from walrus_operator.api.base import GROUP, VERSION, cel

_DROPPED = {"title", "additionalProperties", "const", "$defs"}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_without_nulls(entry) for entry in value]
    return value


def _combined(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """The referenced schema with what stands beside the reference laid over it; rules of both hold."""
    result = dict(inner)
    for key, value in outer.items():
        if key == "x-kubernetes-validations":
            result[key] = [*inner.get(key, []), *value]
        else:
            result[key] = value
    return result


def structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One JSON Schema node in the API server's dialect."""
    schema = dict(schema)
    if "$ref" in schema:
        name = schema.pop("$ref").rsplit("/", 1)[-1]
        schema = _combined(schema, definitions[name])
        return structural(schema, definitions)
    if "anyOf" in schema:
        branches = [branch for branch in schema.pop("anyOf") if branch.get("type") != "null"]
        if schema.get("x-kubernetes-int-or-string"):
            pattern = next((branch["pattern"] for branch in branches if "pattern" in branch), None)
            described = {"description": schema["description"]} if "description" in schema else {}
            limits = {"pattern": pattern} if pattern else {}
            return {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": True,
                **limits,
                **described,
            }
        if len(branches) != 1:
            raise ValueError(f"a structural schema cannot choose between {branches}")
        return structural(_combined(schema, branches[0]), definitions)
    if "const" in schema:
        schema["enum"] = [schema["const"]]
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: structural(entry, definitions) for name, entry in value.items()}
        elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
            result[key] = structural(value, definitions)
        elif key == "default":
            if value is not None:
                result[key] = _without_nulls(value)
        elif key == "description":
            result[key] = " ".join(str(value).split())
        elif key not in _DROPPED:
            result[key] = value
    if result.get("type") == "integer":
        result["format"] = "int64"
    if result.get("x-kubernetes-preserve-unknown-fields"):
        result.pop("additionalProperties", None)
    return result


def model_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Structural schema of a model."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return structural(raw, raw.get("$defs", {}))


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    priority: int = 0

    def to_crd(self) -> dict[str, Any]:
        """The column as CRD YAML."""
        column: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        if self.description:
            column["description"] = self.description
        if self.priority:
            column["priority"] = self.priority
        return column


def _condition(type_: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].status'


_AGE = Column("Age", ".metadata.creationTimestamp", "date")


@dataclass(frozen=True)
class Crd:
    """All that makes one CRD."""

    kind: str
    plural: str
    singular: str
    short_name: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    description: str
    root_rules: tuple[dict[str, Any], ...] = ()
    spec_required: bool = False

    @property
    def name(self) -> str:
        """Name of the CRD object."""
        return f"{self.plural}.{GROUP}"

    def to_yaml_object(self) -> dict[str, Any]:
        """The CustomResourceDefinition."""
        spec = model_schema(self.spec)
        if not self.spec_required:
            # Rules are checked against this default as it stands, before the defaults inside it are filled in.
            spec["default"] = self.spec().model_dump(by_alias=True, exclude_none=True)
        root: dict[str, Any] = {
            "type": "object",
            "description": self.description,
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": spec,
                "status": model_schema(self.status),
            },
        }
        if self.spec_required:
            root["required"] = ["spec"]
        if self.root_rules:
            root["x-kubernetes-validations"] = list(self.root_rules)
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": GROUP,
                "scope": "Namespaced",
                "names": {
                    "kind": self.kind,
                    "listKind": f"{self.kind}List",
                    "plural": self.plural,
                    "singular": self.singular,
                    "shortNames": [self.short_name],
                    "categories": ["walrus"],
                },
                "versions": [
                    {
                        "name": VERSION,
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}},
                        "additionalPrinterColumns": [column.to_crd() for column in self.columns],
                        "schema": {"openAPIV3Schema": root},
                    }
                ],
            },
        }


NETWORK = Crd(
    kind=network.KIND,
    plural=network.PLURAL,
    singular="walrusnetwork",
    short_name="wnet",
    spec=network.NetworkSpec,
    status=network_status.NetworkStatus,
    description="A Walrus storage network: chain, storage nodes and gateway.",
    columns=(
        Column("Ready", _condition("Ready")),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', description="Why Ready is what it is"),
        Column("Epoch", ".status.epoch", "integer"),
        Column("State", ".status.epochState", description="Waiting, Sync, Done or ParamsSelected"),
        Column("Nodes", ".status.nodes.display", description="Ready and desired nodes"),
        Column("Shards", ".status.shards.display", description="Available and total shards"),
        Column("Updated", ".status.rollout.display", description="Nodes that run what the spec asks for"),
        Column("Available", _condition("Available"), priority=1),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        _AGE,
    ),
    root_rules=(
        cel(
            "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "the name of a WalrusNetwork becomes part of DNS names: at most 40 lower-case letters, digits and dashes, "
            "starting with a letter",
        ),
    ),
)

NODE = Crd(
    kind=node.KIND,
    plural=node.PLURAL,
    singular="walrusnode",
    short_name="wn",
    spec=node.NodeSpec,
    status=node.NodeStatus,
    description="One storage node of a WalrusNetwork.",
    columns=(
        Column("Network", ".spec.networkRef.name", priority=1),
        Column("Ready", _condition("Ready")),
        Column("InCommittee", _condition("InCommittee")),
        Column("Weight", ".status.weight", "integer", "Shards in the current committee"),
        Column("State", ".status.state", description="Status that the node reports"),
        Column(
            "Challenges", _condition("ChallengesPassing"), description="Whether the others find its data", priority=1
        ),
        Column("Epoch", ".status.epoch", "integer", "Epoch that the node has reached"),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        _AGE,
    ),
    root_rules=(
        cel(
            f"self.metadata.name.size() <= {node.MAX_NAME} && "
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            f"the name of a WalrusNode becomes a DNS name: at most {node.MAX_NAME} lower-case letters, digits and dashes, "
            "starting with a letter",
        ),
        cel(
            "!self.metadata.name.endsWith('-devnet') && !self.metadata.name.endsWith('-gateway')",
            "names that end in -devnet or -gateway belong to the network's own parts: choose another name",
        ),
    ),
    spec_required=True,
)

EPOCH = Crd(
    kind=epoch.KIND,
    plural=epoch.PLURAL,
    singular="storageepoch",
    short_name="se",
    spec=epoch.EpochSpec,
    status=epoch.EpochStatus,
    description="One epoch of a WalrusNetwork as the chain recorded it.",
    columns=(
        Column("Epoch", ".status.epoch", "integer"),
        Column("State", ".status.state", description="Sync, Done, ParamsSelected or Past"),
        Column("Members", ".status.members", "integer"),
        Column("Current", _condition("Current")),
        Column("Passed", ".status.challenges.display", description="Challenges that were passed, of all verdicts"),
        Column("Failed", ".status.challenges.failed", "integer", "Verdicts that say FAIL"),
        Column("Votes", ".status.challenges.votes", "integer", "Votes to slash"),
        Column("Slashed", ".status.challenges.executed", "integer", "Members whose commission was burned"),
        Column("Challenges", ".status.challenges.mode", description="Off, Report or Vote", priority=1),
        Column("Excused", ".status.challenges.excused", "integer", "Verdicts that excuse", priority=1),
        Column("Silent", ".status.challenges.silent", description="Members that told nothing of theirs", priority=1),
        Column("Burned", ".status.challenges.burned", "integer", "FROST of commission that were burned", priority=1),
        Column("ChangeDone", ".status.changeDoneAt", "date", priority=1),
        _AGE,
    ),
    root_rules=(
        cel(
            "!has(oldSelf.status) || !has(oldSelf.status.state) || self.spec == oldSelf.spec",
            "this epoch has begun, so its spec is fixed: apply the object of a later epoch",
        ),
    ),
)

ALL: tuple[Crd, ...] = (NETWORK, NODE, EPOCH)


def crds() -> list[dict[str, Any]]:
    """The three CRDs."""
    return [crd.to_yaml_object() for crd in ALL]
