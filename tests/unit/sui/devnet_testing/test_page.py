"""The examples of ``docs/reference/devnet-testing.md`` do what the page says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "devnet-testing.md"


def test_the_examples_of_the_page_run_from_top_to_bottom() -> None:
    text = PAGE.read_text(encoding="utf-8")
    examples = list(re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert len(examples) >= 6
    names: dict[str, object] = {}
    for example in examples:
        line = text[: example.start(1)].count("\n")
        exec(compile("\n" * line + example[1], str(PAGE), "exec"), names)
