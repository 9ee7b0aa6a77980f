"""What a node says about itself (contract module node_metadata)."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import string

MODULE = Module(WALRUS, "node_metadata")


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class NodeMetadata:
    """Descriptive data.

    Attributes:
        image_url: picture.
        project_url: home page.
        description: text.
        extra_fields: anything else; nodes of this project put their gRPC address here.
    """

    image_url: string
    project_url: string
    description: string
    extra_fields: dict[string, string]


@MODULE.public("(image_url: String, project_url: String, description: String): NodeMetadata")
def new(_rt: Runtime, image_url: str, project_url: str, description: str) -> NodeMetadata:
    """Metadata without extra fields."""
    return NodeMetadata(image_url, project_url, description, {})


@MODULE.public("(metadata: &mut NodeMetadata, image_url: String)")
def set_image_url(_rt: Runtime, metadata: NodeMetadata, image_url: str) -> None:
    """Sets the picture."""
    metadata.image_url = image_url


@MODULE.public("(metadata: &mut NodeMetadata, project_url: String)")
def set_project_url(_rt: Runtime, metadata: NodeMetadata, project_url: str) -> None:
    """Sets the home page."""
    metadata.project_url = project_url


@MODULE.public("(metadata: &mut NodeMetadata, description: String)")
def set_description(_rt: Runtime, metadata: NodeMetadata, description: str) -> None:
    """Sets the text."""
    metadata.description = description


@MODULE.public("(metadata: &mut NodeMetadata, extra_fields: VecMap<String, String>)")
def set_extra_fields(_rt: Runtime, metadata: NodeMetadata, extra_fields: dict[str, str]) -> None:
    """Replaces the extra fields."""
    metadata.extra_fields = dict(extra_fields)


@MODULE.public("(metadata: &NodeMetadata): String")
def image_url(_rt: Runtime, metadata: NodeMetadata) -> str:
    """The picture."""
    return metadata.image_url


@MODULE.public("(metadata: &NodeMetadata): String")
def project_url(_rt: Runtime, metadata: NodeMetadata) -> str:
    """The home page."""
    return metadata.project_url


@MODULE.public("(metadata: &NodeMetadata): String")
def description(_rt: Runtime, metadata: NodeMetadata) -> str:
    """The text."""
    return metadata.description


@MODULE.public("(metadata: &NodeMetadata): &VecMap<String, String>")
def extra_fields(_rt: Runtime, metadata: NodeMetadata) -> dict[str, str]:
    """The extra fields."""
    return metadata.extra_fields
