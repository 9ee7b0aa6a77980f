"""The page of error reasons, from the enums that answers are made of."""

from __future__ import annotations

from reference_pages.tables import NOTE, table
from walrus_client.gateway.envelope import GatewayReason
from walrus_client.reasons import Reason


def errors_page() -> list[str]:
    """Reasons of the gateway and of the nodes."""
    yes = {True: "yes", False: ""}
    return [
        "# Error reasons",
        "",
        NOTE,
        "",
        "Reasons are API: they are added, not renamed. Where Walrus has a name, ours is the same.",
        "",
        "## Gateway (HTTP)",
        "",
        "Every error is JSON: `error.code` is the HTTP status, `error.status` the canonical status, `error.message` a sentence",
        "for people, and `error.details[0]` has the `reason` with facts for programs in `metadata`. Where a retry of the same",
        "request may succeed, the answer has the header `Retry-After`.",
        "",
        *table(
            ("reason", "HTTP", "status", "retry", "meaning"),
            (
                (f"`{entry}`", str(entry.http), entry.status, yes[entry.retryable], entry.meaning)
                for entry in GatewayReason
            ),
        ),
        "",
        "## Storage node (gRPC)",
        "",
        "Every error carries a `google.rpc.ErrorInfo` with the reason, the domain `storage.walrus.space` and facts in",
        "`metadata`. `StoreBlob` answers with the same reasons one by one, for the slivers that it refused.",
        "",
        *table(
            ("reason", "gRPC status", "REST", "retry", "meaning"),
            (
                (f"`{entry}`", _grpc(entry), str(entry.status.http), yes[entry.retryable], entry.meaning)
                for entry in Reason
            ),
        ),
    ]


def _grpc(reason: Reason) -> str:
    import grpc  # noqa: PLC0415  (only for the names of the codes)

    return next(code.name for code in grpc.StatusCode if code.value[0] == reason.status.grpc_number)
