import pytest

from walrus_sui.devnet import reference
from walrus_sui.devnet.move import registry


@pytest.mark.parametrize(
    "row",
    [
        "| `delete_blob(self: &System, blob: Blob): Storage` | Deletes a deletable blob; gives its storage back. |",
        "| `remove_metadata_pair(self: &mut Blob, key: &String): (String, String)` |",
        "| `funds(self: &SharedBlob): &Balance<WAL>` |",
        "| `public_transfer<T0: key + store>(obj: T0, recipient: address)` | Sends an object to an address. |",
        "Aborts: 0 EInvalidEpoch, 1 EIncompatibleEpochs, 2 EIncompatibleAmount, 3 EInvalidEpochRange.",
    ],
)
def test_the_page_has_every_signature_and_code(row: str) -> None:
    assert row in reference.page()


def test_no_function_is_forgotten() -> None:
    page = reference.page()
    for module in registry.MODULES:
        if module.functions:
            assert f"\n### {module.name}\n" in page
        for function in module.functions.values():
            assert f"`{function.name}(" in page or f"`{function.name}<" in page
            assert function.run.__doc__


def test_the_page_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check"]) == 0
    assert capsys.readouterr().err == ""
