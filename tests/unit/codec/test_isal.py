"""The Cauchy code through pyeclib: what it is, and that the way the work is cut never shows."""

import numpy as np
import pytest

from walrus_codec import isal
from walrus_codec.errors import DecodeError, ParamsError
from walrus_codec.isal import HEADER_SIZE, CauchyCode


def pattern(size: int) -> bytes:
    return bytes((i * 167 + (i >> 7)) & 255 for i in range(size))


def symbols_of(code: CauchyCode, words: list[bytes], size: int) -> list[bytes]:
    """All n symbols of each word, put together from stripes."""
    out = [bytearray(code.n * size) for _ in words]
    for stripe in code.expand(words, size):
        width = stripe.end - stripe.start
        for j, fragment in enumerate(stripe.fragments):
            for at, word in enumerate(range(stripe.first, stripe.last)):
                part = fragment[HEADER_SIZE + at * width : HEADER_SIZE + (at + 1) * width]
                out[word][j * size + stripe.start : j * size + stripe.end] = part
    return [bytes(word) for word in out]


def test_only_the_code_that_always_decodes_is_used() -> None:
    assert isal.EC_TYPE == "isa_l_rs_cauchy"
    assert CauchyCode(4, 10)._driver.ec_type.name == "isa_l_rs_cauchy"


@pytest.mark.parametrize(("k", "n"), [(0, 4), (4, 4), (-1, 4), (4, 300)])
def test_a_code_that_the_library_lacks_is_refused(k: int, n: int) -> None:
    with pytest.raises(ParamsError, match="pyeclib does not offer"):
        CauchyCode(k, n)


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 300])
@pytest.mark.parametrize("width", [1, 7, 64, 299, 1 << 20])
def test_symbols_do_not_depend_on_how_the_work_is_cut(size: int, width: int) -> None:
    code = CauchyCode(4, 10)
    words = [pattern(4 * size + shift)[shift:] for shift in range(5)]
    expected = [symbols_of(code, [word], size)[0] for word in words]
    code.width = width
    assert symbols_of(code, words, size) == expected
    assert all(word == full[: 4 * size] for word, full in zip(words, expected, strict=True))


@pytest.mark.parametrize("width", [3, 64, 1 << 20])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_rebuilding_does_not_depend_on_how_the_work_is_cut(
    width: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isal, "_DECODE_WIDTH", width)
    code, size = CauchyCode(4, 10), 50
    words = [pattern(4 * size + shift)[shift:] for shift in range(count)]
    full = [np.frombuffer(word, np.uint8).reshape(10, size) for word in symbols_of(code, words, size)]
    for chosen in ([6, 7, 8, 9], [0, 1, 2, 3], [0, 3, 5, 9], [9, 5, 3, 0, 1]):
        parts = {j: b"".join(word[j].tobytes() for word in full) for j in chosen}
        out = np.zeros((4, count, size), np.uint8)
        code.rebuild(parts, size, out)
        assert (out == np.stack([word[:4] for word in full], axis=1)).all()


def test_too_few_parts_are_refused() -> None:
    with pytest.raises(DecodeError, match="3 of the 4 parts needed"):
        CauchyCode(4, 10).rebuild(dict.fromkeys(range(3), b"ab"), 2, np.zeros((4, 1, 2), np.uint8))
