"""Points in time as the API server writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(unix_seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(unix_seconds), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix_seconds(text: str) -> float:
    """The moment that such a text names.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(text).timestamp()
