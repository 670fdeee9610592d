"""The errors of the program: each class is a fact that a caller can act on.

WtaiError
├── SettingsError            the configuration is wrong: nothing starts until it is mended      (exit 3)
├── EnvironmentProblem       Python, SQLite, disk or permissions cannot serve                   (exit 4)
├── SchemaError              the database is newer than the program, or a migration failed     (exit 5)
├── AlreadyRunning           another process serves this database                               (exit 4)
├── StorageUnavailable       the database cannot be written now: locked, full, I/O error; try again later
├── NotFound                 nothing with that id, for this owner
├── StaleVersion             the row moved on since it was read: read again
├── InvalidTransition        a conversation cannot go from this state to that one
├── Retry, GiveUp            a job's handler says: again later; never again
├── BudgetReached            the next model call could cost more than a budget leaves; nothing was asked
├── LlmError
│   ├── LlmUnavailable       time-out, connection, 429, 5xx: the same call may succeed later
│   └── LlmRefused           request or content refused: the same call fails again
│       └── LlmNotSetUp      key, credit, model or address refused: it succeeds once the operator has mended that
└── SendError                one outbound message; the reaction is in the class
    ├── SendThrottled        certainly not accepted, may be sent again after a wait
    ├── SendRejected         certainly not accepted, will never be; carries the provider's code
    └── SendUnknown          may have been accepted: find out before anything is sent again
"""


class WtaiError(Exception):
    """Any error that wtai raises on purpose. The message says what, where, and the mend."""


class SettingsError(WtaiError):
    """The configuration is wrong."""


class EnvironmentProblem(WtaiError):
    """This machine cannot run wtai as it is."""


class SchemaError(WtaiError):
    """The database's schema does not fit this program."""


class AlreadyRunning(EnvironmentProblem):
    """Another process holds this database."""


class StorageUnavailable(WtaiError):
    """The transaction was not written; nothing of it remains."""


class NotFound(WtaiError):
    """No such row for this owner; another owner's row looks the same."""


class StaleVersion(WtaiError):
    """The row has changed since it was read."""


class InvalidTransition(WtaiError):
    """The state machine has no such edge."""


class Retry(WtaiError):
    """Run this job again after ``delay_ms`` (None: by the kind's backoff). ``counts``: uses up an attempt."""

    def __init__(self, reason: str, *, delay_ms: int | None = None, counts: bool = True) -> None:
        super().__init__(reason)
        self.delay_ms = delay_ms
        self.counts = counts


class GiveUp(WtaiError):
    """This job can never succeed: bury it now."""


class BudgetReached(WtaiError):
    """A budget leaves too little for a call. ``budget`` is ``month`` or ``user_day``; ``first``: not raised yet in its period.

    It starts anew at ``resets_at`` (ms since 1970).
    """

    def __init__(self, message: str, *, budget: str, resets_at: int, first: bool) -> None:
        super().__init__(message)
        self.budget = budget
        self.resets_at = resets_at
        self.first = first


class LlmError(WtaiError):
    """A model call failed. ``code`` is the provider's or ours, safe to log and to show to staff."""

    def __init__(self, message: str, *, code: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms


class LlmUnavailable(LlmError):
    """The model cannot answer now."""


class LlmRefused(LlmError):
    """The model will not answer this, now or later."""


class LlmNotSetUp(LlmRefused):
    """The model answers nothing until the operator has mended a key, the credit or a setting."""


class SendError(WtaiError):
    """A message was not, or perhaps not, accepted. ``code`` is the provider's error code where it gave one."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class SendThrottled(SendError):
    """Not accepted; ``retry_after_ms`` is the provider's wish, None if it had none."""

    def __init__(self, message: str, *, code: int | None = None, retry_after_ms: int | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_ms = retry_after_ms


class SendRejected(SendError):
    """Not accepted, finally. ``held_back`` is ``window`` or ``opted_out`` where that is why, else None."""

    def __init__(self, message: str, *, code: int | None = None, held_back: str | None = None) -> None:
        super().__init__(message, code=code)
        self.held_back = held_back


class SendUnknown(SendError):
    """The outcome is not known: accepted or not."""
