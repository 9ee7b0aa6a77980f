"""MovePackageService: datatypes, signatures of functions, and packages as far as native modules have something to show."""

from collections.abc import Iterable
from typing import Final

import grpc

from walrus_proto.sui.rpc.v2 import move_package_service_pb2, move_package_service_pb2_grpc, object_pb2
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.ledger.records import Datatype, FunctionSignature, Package, SignatureType
from walrus_sui.devnet.server import calls, faults, resolve
from walrus_sui.devnet.server.faults import Fault
from walrus_sui.devnet.server.render import objects

_VISIBILITIES: Final = {
    "PUBLIC": object_pb2.FunctionDescriptor.PUBLIC,
    "PRIVATE": object_pb2.FunctionDescriptor.PRIVATE,
    "FRIEND": object_pb2.FunctionDescriptor.FRIEND,
}
_REFERENCES: Final = {
    "IMMUTABLE": object_pb2.OpenSignature.IMMUTABLE,
    "MUTABLE": object_pb2.OpenSignature.MUTABLE,
}


class MovePackageService(move_package_service_pb2_grpc.MovePackageServiceServicer):
    """Answers from one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @calls.read
    def GetFunction(
        self, request: move_package_service_pb2.GetFunctionRequest
    ) -> move_package_service_pb2.GetFunctionResponse:
        """Signature of a function."""
        package = self._package(request.package_id)
        for field in ("module_name", "name"):
            if not getattr(request, field):
                raise faults.missing(field)
        found = self.engine.ledger.function(package.object_id, request.module_name, request.name)
        if found is None:
            raise Fault(grpc.StatusCode.INTERNAL, f"Function not found: {request.name}")
        return move_package_service_pb2.GetFunctionResponse(function=_function(found))

    @calls.read
    def GetPackage(
        self, request: move_package_service_pb2.GetPackageRequest
    ) -> move_package_service_pb2.GetPackageResponse:
        """A package: its modules' names, type origins and dependencies. Native modules have no code to show."""
        return move_package_service_pb2.GetPackageResponse(package=objects.package(self._package(request.package_id)))

    @calls.read
    def ListPackageVersions(
        self, request: move_package_service_pb2.ListPackageVersionsRequest
    ) -> move_package_service_pb2.ListPackageVersionsResponse:
        """All versions of a package, the first one first; they fit on one page."""
        asked = self._package(request.package_id)
        answer = move_package_service_pb2.ListPackageVersionsResponse()
        for package_id in self.engine.ledger.packages.versions(asked.object_id):
            answer.versions.add(package_id=package_id, version=len(answer.versions) + 1)
        return answer

    @calls.read
    def GetDatatype(
        self, request: move_package_service_pb2.GetDatatypeRequest
    ) -> move_package_service_pb2.GetDatatypeResponse:
        """A struct or enum with its fields or variants."""
        package = self._package(request.package_id)
        for field in ("module_name", "name"):
            if not getattr(request, field):
                raise faults.missing(field)
        found = self.engine.ledger.datatype(package.object_id, request.module_name, request.name)
        if found is None:
            raise Fault(grpc.StatusCode.INTERNAL, f"Datatype not found: {request.name}")
        return move_package_service_pb2.GetDatatypeResponse(datatype=_datatype(found))

    def _package(self, text: str) -> Package:
        if not text:
            raise faults.missing("package_id")
        package_id = resolve.address("package_id", text)
        found = self.engine.live.object(package_id)
        if found is None:
            raise faults.not_found(f"Package {package_id} not found")
        if not found.is_package:
            raise faults.invalid("package_id", "object is not a package")
        return Package.from_bcs(found.contents)


def _datatype(value: Datatype) -> object_pb2.DatatypeDescriptor:
    kinds = object_pb2.DatatypeDescriptor
    message = kinds(
        type_name=f"{value.package}::{value.module}::{value.name}",
        defining_id=value.package,
        module=value.module,
        name=value.name,
        abilities=[object_pb2.Ability.Value(ability) for ability in value.abilities],
        type_parameters=[object_pb2.TypeParameter() for _ in range(value.type_parameters)],
        kind=kinds.STRUCT if value.variants is None else kinds.ENUM,
        fields=_fields(value.fields),
    )
    for position, (name, fields) in enumerate(value.variants or ()):
        message.variants.add(name=name, position=position, fields=_fields(fields))
    return message


def _fields(fields: Iterable[tuple[str, SignatureType]]) -> list[object_pb2.FieldDescriptor]:
    return [
        object_pb2.FieldDescriptor(name=name, position=position, type=_body(kind))
        for position, (name, kind) in enumerate(fields)
    ]


def _function(value: FunctionSignature) -> object_pb2.FunctionDescriptor:
    return object_pb2.FunctionDescriptor(
        name=value.name,
        visibility=_VISIBILITIES[value.visibility],
        is_entry=value.is_entry,
        type_parameters=[
            object_pb2.TypeParameter(constraints=[object_pb2.Ability.Value(ability) for ability in abilities])
            for abilities in value.type_parameters
        ],
        parameters=[_parameter(item) for item in value.parameters],
        returns=[_parameter(item) for item in value.returns],
    )


def _parameter(value: SignatureType) -> object_pb2.OpenSignature:
    message = object_pb2.OpenSignature(body=_body(value))
    if value.reference is not None:
        message.reference = _REFERENCES[value.reference]
    return message


def _body(value: SignatureType) -> object_pb2.OpenSignatureBody:
    message = object_pb2.OpenSignatureBody(
        type=object_pb2.OpenSignatureBody.Type.Value(value.kind),
        type_parameter_instantiation=[_body(item) for item in value.arguments],
        type_parameter=value.type_parameter,
    )
    if value.type_name:
        message.type_name = value.type_name
    return message
