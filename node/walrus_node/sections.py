"""What every section of the configuration file is, and the section of the admin port."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator


class Section(BaseModel):
    """A mapping of the file: keys that are not known are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AdminConfig(Section):
    """The port on which an operator asks and steers the node. Without this section there is none."""

    listen: str = "0.0.0.0:9186"
    """Address and port; IPv6 addresses stand in brackets."""
    tokens_file: Path
    """File with the tokens of which every caller needs one: one a line, 32 characters or more, at most four; read for each
    call. While it is missing, empty or wrong, nobody can use the port."""

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host.strip("[]") or not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"{value!r} is not ADDRESS:PORT")
        return value

    @property
    def host(self) -> str:
        """The address, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.listen.rpartition(":")[2])
