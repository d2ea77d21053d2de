"""Teradata's errors as the driver raises them.

`docs/teradata.md` lists the codes that matter. The texts have the driver's form,
`[Version ..] [Session ..] [Teradata Database] [Error nnnn] text`, because callers parse it.
"""

from __future__ import annotations

__all__ = [
    "TEXTS",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Refused",
    "Warning",
    "message",
    "raised",
]

VERSION = "20.0.0.72"
DRIVER_CODES = frozenset({308, 444, 493, 804})
"""Errors of the driver itself: a lost link, an unknown name, a wrong parameter."""
ENDS_TRANSACTION = frozenset({2631, 3111, 3120, 2828, 2835, 2641, 2639, 3598, 3603, 3897, 2825})
"""Errors that undo the whole transaction, not only the request."""

TEXTS = {
    308: "teradatasql driver: an unexpected value was bound",
    444: "[SQLState 08001] Failed to connect to {0}: connection refused",
    804: "[SQLState 08S01] Socket communication failure for Packet receive: EOF",
    2617: "Overflow occurred computing an expression involving {0}",
    2618: "Invalid calculation: division by zero.",
    2621: "Bad character in format or data of {0}.",
    2631: "Transaction ABORTed due to deadlock.",
    2633: "Too many load/unload tasks running: try again later.",
    2634: "Existing ERROR table(s) or Incorrect use of {0} in Fast Load operation.",
    2636: "{0} must be empty for Fast Loading.",
    2639: "Too many simultaneous transactions.",
    2641: "{0} was restructured. Resubmit.",
    2644: "No more room in database {0}.",
    2646: "No more spool space in {0}.",
    2652: "Operation not allowed: {0} is being Loaded.",
    2665: "Invalid date.",
    2700: "Referential constraint violation: invalid foreign key value in {0}.",
    2801: "Duplicate unique prime key error in {0}.",
    2802: "Duplicate row error in {0}.",
    2803: "Secondary index uniqueness violation in {0}.",
    2825: "Error occurred while processing a request: outcome is not known.",
    2828: "Request was rolled back during system recovery.",
    2835: "A unique index has been invalidated; resubmit request.",
    3111: "The dispatcher has timed out the transaction.",
    3120: "The request is aborted because of a DBS recovery.",
    3519: "Two indexes with the same columns.",
    3523: "The user does not have {0}.",
    3532: "Conversion between BYTE data and other types is illegal.",
    3598: "Concurrent change conflict on database -- try again.",
    3603: "Concurrent change conflict on table -- try again.",
    3604: "Cannot place a null value in a NOT NULL field.",
    3695: "A Single AMP Select statement has been issued in FastExport.",
    3706: "Syntax error: {0}",
    3707: "Syntax error, expected something like {0}",
    3722: "Only a COMMIT WORK or null statement is legal after a DDL Statement.",
    3731: "The user must use IS NULL or IS NOT NULL to test for NULL values.",
    3738: "String is longer than 31000 characters.",
    3771: "Illegal expression in WHEN clause of CASE expression.",
    3802: "Database '{0}' does not exist.",
    3803: "Table '{0}' already exists.",
    3804: "View '{0}' already exists.",
    3807: "Object '{0}' does not exist.",
    3809: "Column '{0}' is ambiguous.",
    3813: "The positional assignment list has too many values.",
    3812: "The positional assignment list has too few values.",
    3823: "VIEW '{0}' may not be used for Help Index/Constraint/Statistics, Update, Delete or "
    "Insert.",
    3854: "'{0}' is not a view.",
    3853: "'{0}' is not a table.",
    3897: "Request aborted due to crash. Do not resubmit.",
    3932: "Only an ET or null statement is legal after a DDL Statement.",
    3996: "Right truncation of string data.",
    5317: "Check constraint violation: Check error in field {0}.",
    5628: "Column {0} not found in {1}.",
    5690: "LOBs are not allowed to be hashed.",
    5692: "LOBs are not allowed to be compared.",
    5758: "The MERGE/UPSERT search condition must fully specify the Target table primary index and "
    "partition column(s) and expression must match INSERT specification primary index and "
    "partition column(s).",
    5977: "MERGE cannot target a table whose primary index is an identity column.",
    6706: "The string contains an untranslatable character.",
    6760: "Invalid timestamp.",
    6916: "TOP N Syntax error: {0}",
    7423: "Object already locked and NOWAIT.",
    7547: "Target row updated by multiple source rows.",
    8017: "The UserId, Password or Account is invalid.",
    9128: "The transaction exceeded the maximum number of rowhash locks allowed.",
}


class Warning(Exception):
    """PEP 249."""


class Error(Exception):
    """PEP 249."""


class InterfaceError(Error):
    """PEP 249."""


class DatabaseError(Error):
    """PEP 249."""


class DataError(DatabaseError):
    """PEP 249."""


class OperationalError(DatabaseError):
    """Raised for every error of the database, and most of the driver's."""


class IntegrityError(DatabaseError):
    """PEP 249; the driver never raises it."""


class InternalError(DatabaseError):
    """PEP 249."""


class ProgrammingError(DatabaseError):
    """PEP 249."""


class NotSupportedError(DatabaseError):
    """PEP 249."""


class Refused(Exception):
    """The emulated server refuses a request; `code` is Teradata's error."""

    def __init__(self, code: int, *about: str) -> None:
        self.code = code
        self.about = about
        super().__init__(code, *about)

    def text(self, session: int) -> str:
        """Return the message that the driver would raise."""
        return message(self.code, session, *self.about)


def message(code: int, session: int, *about: str) -> str:
    """Return an error's message in the driver's form."""
    text = TEXTS.get(code, "error {0}").format(*about, *(["?"] * 4))
    who = "Teradata SQL Driver" if code in DRIVER_CODES else "Teradata Database"
    return f"[Version {VERSION}] [Session {session}] [{who}] [Error {code}] {text}"


def raised(refused: Refused, session: int = 0) -> OperationalError:
    """Return the driver's exception for a refused request."""
    return OperationalError(refused.text(session))
