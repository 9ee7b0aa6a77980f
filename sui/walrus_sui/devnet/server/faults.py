"""Errors of the gRPC face, in the shape of a real node: a status, a text, and which field was wrong.

Life of a fault: a handler meets something that cannot be answered and raises a `Fault`; the wrappers in `calls` end
the call with its status; the details carry google.rpc.BadRequest so that clients can point at the field. In answers to
batches a fault becomes the google.rpc.Status of its item instead.

Codes and texts follow sui-rpc-api (module error).
"""

from dataclasses import dataclass
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2

MAX_TEXT: Final = 500


@dataclass(frozen=True)
class Violation:
    """A request field that cannot be used, why, and the reason's name: FIELD_INVALID or FIELD_MISSING."""

    field: str
    description: str
    reason: str


class Fault(Exception):  # noqa: N818  (it is the answer to a call, not a failure of the server)
    """A call that ends with a status other than OK. Remedy: the message tells the caller."""

    def __init__(self, code: grpc.StatusCode, message: str, violation: Violation | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = _short(message)
        self.violation = violation

    def status(self) -> status_pb2.Status:
        """The fault as google.rpc.Status."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if self.violation is not None:
            detail = error_details_pb2.BadRequest()
            detail.field_violations.add(
                field=self.violation.field, description=self.violation.description, reason=self.violation.reason
            )
            status.details.add().Pack(detail)
        return status


def missing(field: str) -> Fault:
    """A required field is not set."""
    text = f"missing {field}"
    return Fault(grpc.StatusCode.INVALID_ARGUMENT, text, Violation(field, text, "FIELD_MISSING"))


def invalid(field: str, description: str) -> Fault:
    """A field is set to something that cannot be used."""
    text = _short(description)
    return Fault(grpc.StatusCode.INVALID_ARGUMENT, text, Violation(field, text, "FIELD_INVALID"))


def not_found(message: str) -> Fault:
    """What was asked for does not exist."""
    return Fault(grpc.StatusCode.NOT_FOUND, message)


def _short(text: str) -> str:
    """Texts travel in trailers, which are small; what a caller sent may be echoed in them and is not."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."
