"""Pages of a listing: sizes, byte limits and tokens.

A token is opaque to callers: a digest over what was listed (call, owner, filter), so that a token of one listing is
refused by another, and the key of the last item of the page. Items are listed in the order of their keys, so a token
stays good whatever happens to other items meanwhile.

Limits as in sui-rpc-api: 50 items by default, never more than 1000, and no page grows past 512 KiB by more than one item.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from google.protobuf.message import Message

from walrus_sui.devnet.server import faults

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000
MAX_PAGE_BYTES: Final = 512 * 1024
_SCOPE_BYTES: Final = 16
_M = TypeVar("_M", bound=Message)


def page_size(requested: int | None) -> int:
    """Items on a page: the request's number, held between 1 and 1000; 50 when it gives none."""
    return DEFAULT_PAGE_SIZE if requested is None else min(max(requested, 1), MAX_PAGE_SIZE)


class Listing:
    """One listing, named by all that its tokens must agree on.

    Args:
        scope: call, owner, filter, ...
    """

    def __init__(self, *scope: str) -> None:
        text = "\x00".join(scope).encode()
        self._scope = hashlib.blake2b(text, digest_size=_SCOPE_BYTES).digest()

    def start(self, token: bytes | None) -> bytes:
        """Key after which the page starts, empty for the first page.

        Raises:
            Fault: INVALID_ARGUMENT, the token is not of this listing.
        """
        if not token:
            return b""
        if len(token) <= _SCOPE_BYTES or token[:_SCOPE_BYTES] != self._scope:
            raise faults.invalid("page_token", "invalid page_token")
        return token[_SCOPE_BYTES:]

    def page(
        self, items: Iterable[tuple[bytes, Callable[[], _M | None]]], *, size: int
    ) -> tuple[list[_M], bytes | None]:
        """Fills one page.

        Args:
            items: key and renderer of each item after the start, ordered by key; a renderer may leave an item out by
                returning None.
            size: items on the page.

        Returns:
            The page and the token of the next one, None when this was the last.
        """
        page: list[_M] = []
        used, last = 0, b""
        for key, render in items:
            if len(page) >= size or used >= MAX_PAGE_BYTES:
                return page, self._scope + last
            message = render()
            last = key
            if message is not None:
                page.append(message)
                used += message.ByteSize()
        return page, None
