"""Settings of PostgreSQL that hurt: which they are, and what to set.

Others do not, because each transaction begins with its own: see `_postgres_transactions`.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from mfprefect.backend import ServerProblem
from mfprefect_backends._settings import Setting

__all__ = ["HINTS", "problems"]

_DOCTOR = "`mfprefect doctor` shows the statement that changes it."
HINTS = {
    "25006": "The server is a standby, or default_transaction_read_only is on for this user or "
    f"database; {_DOCTOR}",
    "25P03": f"idle_in_transaction_session_timeout is too short; {_DOCTOR}",
    "25P04": f"transaction_timeout is too short; {_DOCTOR}",
    "57014": "If nobody cancelled it, statement_timeout is too short for what was read; "
    "`mfprefect doctor` shows the statement that changes it.",
}
"""What to change, by SQLSTATE."""


def _below(seconds: int) -> Callable[[str], bool]:
    return lambda milliseconds: 0 < int(milliseconds) < seconds * 1000


_CUT = "ends long reads, such as all scores of a large session; writes are not limited"
SETTINGS = (
    Setting("default_transaction_read_only", "on".__eq__, "refuses every write", "off"),
    Setting("statement_timeout", _below(60), _CUT, "0", blocks=False),
    Setting("transaction_timeout", _below(60), _CUT, "0", blocks=False),
    Setting(
        "idle_in_transaction_session_timeout",
        _below(10),
        "ends transactions of a slow client, which then start over",
        "'1min'",
        blocks=False,
    ),
)
_VALUES = sa.text(
    "SELECT name, setting, unit, source, quote_ident(current_user), "
    "quote_ident(current_database()) FROM pg_settings WHERE name IN :names"
).bindparams(sa.bindparam("names", [x.name for x in SETTINGS], expanding=True))
_ALTER = {
    "user": "ALTER ROLE {user} SET",
    "database user": "ALTER ROLE {user} IN DATABASE {database} SET",
    "global": "ALTER ROLE ALL SET",
}
"""The start of the statement that changes a setting, by where its value comes from. That of the
database also wins over the server's configuration."""
_OPTIONS = "remove it from `options` of the database URL, or from PGOPTIONS"


def problems(connection: sa.Connection) -> list[ServerProblem]:
    """Return the settings that hurt, each with the statement that cures it."""
    values = {row.name: row for row in connection.execute(_VALUES)}
    return [
        _problem(setting, *values[setting.name][1:])
        for setting in SETTINGS
        if setting.name in values and setting.hurts(values[setting.name].setting)
    ]


def _problem(
    setting: Setting, value: str, unit: str | None, source: str, user: str, database: str
) -> ServerProblem:
    alter = _ALTER.get(source, "ALTER DATABASE {database} SET").format(user=user, database=database)
    cure = _OPTIONS if source == "client" else f"{alter} {setting.name} = {setting.cure}"
    if setting.blocks and alter.startswith("ALTER DATABASE"):
        # The administrator's transaction has the same default.
        cure = f"SET {setting.name} = {setting.cure}; {cure}"
    text = f"{setting.name} is {' '.join(filter(None, (value, unit)))}, which {setting.why}"
    return ServerProblem(text, cure, setting.blocks)
