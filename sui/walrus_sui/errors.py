"""The one tree of errors of the chain side.

Life of an error: the transport or a decoder meets it, turns it into one class of this tree with a sentence that says
what to do, and callers decide by class: wait and retry (`ChainUnreachable`), rebuild or give up (`TransactionRejected`),
treat as an answer of the contract (`MoveAbort`), ask for money (`InsufficientFunds`).
"""

# ruff: noqa: N818  (the names say what happened; the tree says that they are errors)

_UNITS = {"SUI": "MIST", "WAL": "FROST"}


class WalrusSuiError(Exception):
    """Root of all errors that `walrus_sui` raises on purpose."""


class KeyFileError(WalrusSuiError):
    """A key is missing, malformed or already there. Remedy: look at the named file; keys are never overwritten."""


class CertificateError(WalrusSuiError):
    """A certificate cannot be fetched, parsed, or holds a key that is not secp256r1. Remedy: see the message."""


class NetworkConfigError(WalrusSuiError):
    """The network configuration cannot be read or lacks a field. Remedy: correct the named field or address."""


class PublicNetworkRefused(NetworkConfigError):
    """A node was to register on a public Walrus network. Remedy: use a deployment of your own, or allow it explicitly."""


class MessageError(WalrusSuiError):
    """Bytes that should be a signed protocol message are not one. Remedy: refuse the message."""


class ChainError(WalrusSuiError):
    """Root of everything that can go wrong with the chain."""


class ChainUnreachable(ChainError):
    """The chain's endpoint refuses, breaks or does not offer the call. Remedy: retry later with back-off."""


class ChainTimeout(ChainUnreachable):
    """The chain did not answer in time. Remedy: retry later; writes are retried with the same bytes, never rebuilt."""


class ObjectNotFound(ChainError):
    """An object, checkpoint or transaction does not exist (any more). Remedy: check the id, or wait for the index."""


class MalformedChainData(ChainError):
    """The chain returned bytes that do not have the expected layout. Remedy: check that the objects are Walrus's."""


class RequestRefused(ChainError):
    """The chain refused a read request as invalid. Remedy: a programming error here or an older server there."""


class InsufficientFunds(ChainError):
    """The key owns too few SUI or WAL for the call; nothing was sent. Remedy: fund the address in the message.

    Args:
        address: owner of the purse.
        coin: "SUI" or "WAL".
        needed: MIST or FROST that the call needs.
        available: MIST or FROST that the address has.
    """

    def __init__(self, address: str, *, coin: str, needed: int, available: int) -> None:
        super().__init__(
            f"{address} has {available} of the {needed} {_UNITS[coin]} ({coin}) needed; send it {coin} and retry"
        )
        self.address = address
        self.coin = coin
        self.needed = needed
        self.available = available


class TransactionRejected(ChainError):
    """The chain refused to execute a transaction: nothing happened and no gas was charged.

    Remedy: stale object references are refreshed by the client itself; what arrives here needs a new transaction.
    """


class TransactionUnknown(ChainUnreachable):
    """A signed transaction was sent and its fate could not be learnt in time.

    Remedy: ask for `digest` later; never send the intent again under a new digest before the old one is known.
    """

    def __init__(self, digest: str, reason: str) -> None:
        super().__init__(
            f"transaction {digest} was sent but its result is unknown ({reason}); ask for the digest later"
        )
        self.digest = digest


class TransactionFailed(ChainError):
    """A transaction was executed and failed: gas is charged, nothing else changed. Remedy: see the status text."""

    def __init__(self, message: str, *, digest: str) -> None:
        super().__init__(message)
        self.digest = digest


class MoveAbort(TransactionFailed):
    """A Move function aborted. Remedy: the pair (module, code) is the contract's answer, listed in `abi.aborts`.

    Args:
        module: name of the aborting Move module, for example "staking_inner".
        code: the contract's abort code.
        function: Move function that aborted, when the chain tells it.
        digest: digest of the failed transaction.
        name: the contract's constant, for example "EWrongEpochState", when known.
        command: index of the command within the transaction, when known.
    """

    def __init__(
        self,
        module: str,
        code: int,
        *,
        function: str = "",
        digest: str = "",
        name: str = "",
        command: int | None = None,
    ) -> None:
        at = f"::{function}" if function else ""
        super().__init__(f"{module}{at} aborted with code {code}{f' ({name})' if name else ''}", digest=digest)
        self.module = module
        self.code = code
        self.function = function
        self.name = name
        self.command = command


class FaucetError(ChainError):
    """The faucet gave nothing. Remedy: see the message; retry when it says that the rate is limited."""
