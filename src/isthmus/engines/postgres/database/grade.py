"""What an acknowledged write survives, as far as the server says."""

from typing import Any, NamedTuple

from isthmus.contracts import Durability
from isthmus.errors import ConfigError

__all__ = ["Grade"]

_ASK = """
SELECT current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
  current_setting('synchronous_commit') AS commits,
  current_setting('synchronous_standby_names') AS standbys
"""


class Grade(NamedTuple):
    fsync: bool
    commits: str
    replicated: bool

    @classmethod
    async def of(cls, connection: Any) -> "Grade":
        """Raises: ConfigError: The database does not keep all characters."""
        row = await connection.fetchrow(_ASK)
        if row["encoding"] != "UTF8":
            raise ConfigError(
                f"the database's encoding is {row['encoding']}: create it with ENCODING 'UTF8'"
            )
        return cls(row["fsync"] == "on", row["commits"], bool(row["standbys"]))

    def durability(self, *, full: bool) -> Durability:
        if not (full and self.fsync):
            return "process"
        return "replicas" if self.replicated and self.commits != "local" else "disk"

    def settings(self, *, full: bool) -> dict[str, str]:
        """What each connection is to be set to; what the server has, as far as it does."""
        if full:
            return {"synchronous_commit": "on"} if self.commits == "off" else {}
        return {"synchronous_commit": "off"}
