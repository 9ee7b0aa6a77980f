"""Reads rendered charts as strictly as an API server: every key once, texts where texts belong.

Helm itself takes the last of two equal keys without a word, and prints a text such as `true` without quotes.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml


class _Strict(yaml.SafeLoader):
    """A loader that refuses a mapping with two equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def no_texts(value: Any, path: str = "") -> Iterator[str]:
    """Paths of names, labels, annotations and environment values that are no texts."""
    if isinstance(value, dict):
        for key, entry in value.items():
            here = f"{path}.{key}"
            if path.endswith((".metadata.labels", ".metadata.annotations", ".matchLabels")) or (
                key in {"name", "namespace", "value", "image", "priorityClassName"} and not isinstance(entry, dict)
            ):
                if not isinstance(entry, str):
                    yield f"{here} is {entry!r}"
            else:
                yield from no_texts(entry, here)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from no_texts(entry, f"{path}[{index}]")


def misses(documents: list[dict[str, Any]]) -> Iterator[str]:
    """NetworkPolicies that guard none of the pods that are rendered with them, or open a port that these do not have."""
    templates = [found["spec"]["template"] for found in documents if found["kind"] in {"Deployment", "StatefulSet"}]
    for policy in (found for found in documents if found["kind"] == "NetworkPolicy"):
        chosen = policy["spec"]["podSelector"]["matchLabels"].items()
        guarded = [each for each in templates if chosen <= each["metadata"]["labels"].items()]
        ports = {
            port["containerPort"]
            for each in guarded
            for container in each["spec"]["containers"]
            for port in container["ports"]
        }
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        if not guarded or not opened <= ports:
            yield f"{policy['metadata']['name']} guards {len(guarded)} pods, and opens {sorted(opened - ports)}"


def main() -> None:
    """Ends with a sentence on the first file that is not strict."""
    for name in sys.argv[1:]:
        try:
            documents = [found for found in yaml.load_all(Path(name).read_text(encoding="utf-8"), _Strict) if found]
        except yaml.YAMLError as error:
            sys.exit(f"{name}: {error}")
        if wrong := list(misses(documents)):
            sys.exit(f"{name}: NetworkPolicy {'; '.join(wrong)}, which they do not have")
        for document in documents:
            # Schemas have fields of these names that are no values.
            if document["kind"] != "CustomResourceDefinition" and (wrong := list(no_texts(document))):
                sys.exit(f"{name}: {document['kind']}: {'; '.join(wrong)}: quote it in the template")


if __name__ == "__main__":
    main()
