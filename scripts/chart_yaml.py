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
    """NetworkPolicies and PodMonitors that mean none of the pods rendered with them, or a port that these do not have."""
    templates = [found["spec"]["template"] for found in documents if found["kind"] in {"Deployment", "StatefulSet"}]
    for found in documents:
        match found:
            case {"kind": "NetworkPolicy", "spec": {"podSelector": selector, "ingress": rules}}:
                asked = {port["port"] for rule in rules for port in rule["ports"]}
            case {"kind": "PodMonitor", "spec": {"selector": selector, "podMetricsEndpoints": endpoints}} if templates:
                asked = {endpoint["port"] for endpoint in endpoints}
            case _:
                continue
        chosen = selector["matchLabels"].items()
        meant = [each for each in templates if chosen <= each["metadata"]["labels"].items()]
        ports = {
            port[key]
            for each in meant
            for container in each["spec"]["containers"]
            for port in container["ports"]
            for key in ("name", "containerPort")
        }
        if not meant or not asked <= ports:
            wrong = sorted(asked - ports, key=str)
            yield f"{found['kind']} {found['metadata']['name']} means {len(meant)} pods, and ports {wrong}"


def main() -> None:
    """Ends with a sentence on the first file that is not strict."""
    for name in sys.argv[1:]:
        try:
            documents = [found for found in yaml.load_all(Path(name).read_text(encoding="utf-8"), _Strict) if found]
        except yaml.YAMLError as error:
            sys.exit(f"{name}: {error}")
        if wrong := list(misses(documents)):
            sys.exit(f"{name}: {'; '.join(wrong)}, which they do not have")
        for document in documents:
            # Schemas have fields of these names that are no values.
            if document["kind"] != "CustomResourceDefinition" and (wrong := list(no_texts(document))):
                sys.exit(f"{name}: {document['kind']}: {'; '.join(wrong)}: quote it in the template")


if __name__ == "__main__":
    main()
