"""How memory asks models, away from any turn: what there is no key, credit or budget for now is asked for again later."""

from typing import Final

from wtai.clock import DAY, MINUTE
from wtai.errors import BudgetReached, LlmError, LlmNotSetUp, LlmUnavailable, Retry

FEATURE: Final = "memory"
"""Under which calls of a model for memory are booked."""

NOT_NOW: Final = (LlmUnavailable, LlmNotSetUp, BudgetReached)
"""After which asking again later helps."""

_MENDING_MS: Final = 10 * MINUTE


def later(error: LlmError | BudgetReached, *, now: int) -> Retry:
    """The order to ask again after one of NOT_NOW. What people have to mend first uses up no attempt."""
    match error:
        case BudgetReached():
            # A day at most: somebody may raise the budget meanwhile.
            return Retry(str(error), delay_ms=min(error.resets_at - now, DAY), counts=False)
        case LlmNotSetUp():
            return Retry(str(error), delay_ms=_MENDING_MS, counts=False)
        case _:
            return Retry(f"model unavailable: {error.code}", delay_ms=error.retry_after_ms)
