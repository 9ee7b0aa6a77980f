"""Module `walrus::node_metadata`: free text of a node and its extra fields."""

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.move_types import STRING_TYPE
from walrus_sui.abi.ptb import MoveCall, Program, Result
from walrus_sui.types import NodeMetadata

MODULE = "node_metadata"
_FRAMEWORK = ObjectId("0x" + "2".rjust(64, "0"))


def new(program: Program, contract: Contract, metadata: NodeMetadata) -> Result:
    """Add the calls that make a NodeMetadata value: `new`, and with extra fields a VecMap and `set_extra_fields`."""
    texts = (metadata.image_url, metadata.project_url, metadata.description)
    made = program.add(MoveCall(contract.package_id, MODULE, "new", tuple(ptb.string(text) for text in texts)))
    if metadata.extra_fields:
        types = (STRING_TYPE, STRING_TYPE)
        fields = program.add(MoveCall(_FRAMEWORK, "vec_map", "empty", (), types))
        for key, value in metadata.extra_fields:
            arguments = (fields, ptb.string(key), ptb.string(value))
            program.add(MoveCall(_FRAMEWORK, "vec_map", "insert", arguments, types))
        program.add(MoveCall(contract.package_id, MODULE, "set_extra_fields", (made, fields)))
    return made


def read(reader: bcs.Reader) -> NodeMetadata:
    """Read a NodeMetadata value."""
    image_url, project_url, description = reader.string(), reader.string(), reader.string()
    extra = layout.vec_map(bcs.Reader.string, bcs.Reader.string)(reader)
    return NodeMetadata(image_url, project_url, description, tuple(extra))
