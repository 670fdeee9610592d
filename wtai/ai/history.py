"""The history as a model may read it: whole turns, every tool call answered right after it, no answer without its call."""

from collections.abc import Sequence

from wtai.ai.llm import Assistant, Message, ToolResult, User

LOST_RESULT = '{"error": "The result was lost: it is not known whether this ran. Check before doing it again."}'


def repaired(history: Sequence[Message]) -> tuple[Message, ...]:
    """``history`` with lost tool results filled in, orphan results and empty assistant messages left out.

    Servers refuse a request in which a call is not answered exactly once right after it; a process that died between the two
    leaves such a history behind.
    """
    mended: list[Message] = []
    for position, message in enumerate(history):
        match message:
            case ToolResult():
                continue
            case Assistant(text="", tool_calls=()):
                continue
            case Assistant(tool_calls=calls) if calls:
                answers = _answers(history, position)
                mended.append(message)
                mended.extend(answers.get(call.id, ToolResult(call.id, LOST_RESULT)) for call in calls)
            case _:
                mended.append(message)
    return tuple(mended)


def window(history: Sequence[Message], limit: int) -> tuple[Message, ...]:
    """The last messages of ``history``, at most ``limit``, from the start of a turn; a tool exchange is never cut.

    When the last turn alone is longer than ``limit``, the window starts at its first whole exchange that fits.
    """
    recent = repaired(history)[-limit:] if limit > 0 else ()
    starts = [position for position, message in enumerate(recent) if isinstance(message, User)]
    starts += [position for position, message in enumerate(recent) if isinstance(message, Assistant)]
    return tuple(recent[starts[0] :]) if starts else ()


def _answers(history: Sequence[Message], position: int) -> dict[str, ToolResult]:
    """The results that follow the calls at ``position``, up to the next thing the model said; the first one counts."""
    found: dict[str, ToolResult] = {}
    for message in history[position + 1 :]:
        match message:
            case Assistant():
                break
            case ToolResult(call_id=call_id):
                found.setdefault(call_id, message)
            case _:
                pass
    return found
