"""The language that the native Move modules are written in."""
