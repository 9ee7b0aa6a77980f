"""The tree of errors: each class tells what to do, and the contract's refusals say everything about themselves."""

import inspect

import pytest

from walrus_sui import errors, follower
from walrus_sui.errors import ChainError, InsufficientFunds, MoveAbort, TransactionUnknown, WalrusSuiError

ROOTS = {"WalrusSuiError", "ChainError"}
CLASSES = [
    cls
    for module in (errors, follower)
    for _name, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, WalrusSuiError) and cls.__module__ == module.__name__
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_tells_its_remedy(cls: type[WalrusSuiError]) -> None:
    assert cls.__doc__
    assert cls.__name__ in ROOTS or "Remedy: " in cls.__doc__


def test_a_refusal_of_the_contract_has_module_code_and_name() -> None:
    abort = MoveAbort("staking_inner", 0, function="voting_end", digest="d", name="EWrongEpochState", command=2)
    assert isinstance(abort, ChainError)
    assert (abort.module, abort.code, abort.name, abort.command, abort.digest) == (
        "staking_inner",
        0,
        "EWrongEpochState",
        2,
        "d",
    )
    assert str(abort) == "staking_inner::voting_end aborted with code 0 (EWrongEpochState)"
    assert str(MoveAbort("m", 7)) == "m aborted with code 7"


def test_what_is_missing_or_unknown_is_told_with_numbers() -> None:
    poor = InsufficientFunds("0xa", coin="WAL", needed=7, available=3)
    assert "3 of the 7 FROST (WAL)" in str(poor)
    assert TransactionUnknown("dig", "why").digest == "dig"
