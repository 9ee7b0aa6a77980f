"""The reference pages, one module each; `scripts/reference.py` writes them."""
