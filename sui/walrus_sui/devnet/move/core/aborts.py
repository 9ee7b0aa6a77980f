"""How native Move code stops: abort codes, arithmetic failures, and the checks that raise them.

A module names each of its codes once (``E_NO_STAKE = MODULE.error(3, "ENoStake")``) and checks with
``require(total > 0, E_NO_STAKE)``. Whoever runs the call catches `MoveAbort` or `ArithmeticFailure`, throws the working
state away and reports the place. Integers in Python do not overflow, so results that may leave their type pass through
`as_u64` and its siblings.
"""

import sys
from dataclasses import dataclass

U16_MAX = (1 << 16) - 1
U32_MAX = (1 << 32) - 1
U64_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class AbortCode:
    """A named abort code.

    Attributes:
        package: alias of the package, as in `walrus_sui.devnet.move.core.packages`.
        module: module that aborts with it.
        code: the number that callers see.
        name: the constant's name in Move.
    """

    package: str
    module: str
    code: int
    name: str


class MoveFailure(Exception):  # noqa: N818 - base of two outcomes
    """Native code stopped. Nothing that the transaction did so far takes effect."""

    def __init__(self, message: str, *, package: str, module: str, function: str) -> None:
        super().__init__(message)
        self.package = package
        self.module = module
        self.function = function


class MoveAbort(MoveFailure):
    """A check of the contract failed. The remedy depends on the code: see the module that names it.

    Two of them are equal when module and code are: ``MoveAbort("staking_inner", 0)`` is what to compare with.
    """

    def __init__(self, module: str, code: int, *, name: str = "", package: str = "", function: str = "") -> None:
        place = f"{module}::{function}" if function else module
        message = f"{place} aborted with {code} ({name})" if name else f"{place} aborted with {code}"
        super().__init__(message, package=package, module=module, function=function)
        self.code = code
        self.name = name

    @classmethod
    def of(cls, code: AbortCode, *, function: str) -> "MoveAbort":
        """The abort with a declared code, in the function that checked."""
        return cls(code.module, code.code, name=code.name, package=code.package, function=function)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MoveAbort) and (other.module, other.code) == (self.module, self.code)

    def __hash__(self) -> int:
        return hash((self.module, self.code))


class ArithmeticFailure(MoveFailure):
    """A number left the range of its type, or was divided by zero."""

    def __init__(self, message: str) -> None:
        super().__init__(message, package="", module="", function="")


def _caller() -> str:
    return sys._getframe(2).f_code.co_name  # noqa: SLF001 - the only way to the name of the checking function


def require(condition: bool, code: AbortCode) -> None:  # noqa: FBT001 - reads as an assertion
    """Aborts with `code` unless the condition holds; the calling function becomes the abort's location."""
    if not condition:
        raise MoveAbort.of(code, function=_caller())


def abort(code: AbortCode) -> MoveAbort:
    """Makes the exception to raise where no condition is to be checked; its location is the calling function."""
    return MoveAbort.of(code, function=_caller())


def _checked(value: int, limit: int) -> int:
    if not 0 <= value <= limit:
        raise ArithmeticFailure(f"{value} is not in 0..{limit}")
    return value


def as_u16(value: int) -> int:
    """The value, if it is a u16; otherwise the arithmetic fails as in Move."""
    return _checked(value, U16_MAX)


def as_u32(value: int) -> int:
    """The value, if it is a u32; otherwise the arithmetic fails as in Move."""
    return _checked(value, U32_MAX)


def as_u64(value: int) -> int:
    """The value, if it is a u64; otherwise the arithmetic fails as in Move."""
    return _checked(value, U64_MAX)


def div(dividend: int, divisor: int) -> int:
    """Floor division that fails as in Move when the divisor is zero."""
    if divisor == 0:
        raise ArithmeticFailure("division by zero")
    return dividend // divisor


def div_ceil(dividend: int, divisor: int) -> int:
    """Division rounded up."""
    return -div(-dividend, divisor)
