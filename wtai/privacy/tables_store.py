"""The list of every table with rows of people or owners: whose rows they are, in the order in which they can be deleted.

A table that is not here would survive an erasure. A test compares the list with the schema.
"""

from dataclasses import dataclass
from typing import Final

_USER: Final = "user_id = :user_id"
_CONVERSATION: Final = "conversation_id IN (SELECT id FROM conversations WHERE owner_id = :owner AND user_id = :user_id)"
_MESSAGE: Final = """message_id IN (
    SELECT m.id FROM messages m JOIN conversations c ON c.owner_id = m.owner_id AND c.id = m.conversation_id
    WHERE m.owner_id = :owner AND c.user_id = :user_id
)"""
_SESSION: Final = "session_id IN (SELECT id FROM sessions WHERE owner_id = :owner AND user_id = :user_id)"


@dataclass(frozen=True, slots=True)
class Table:
    """A table. ``of_person`` is the condition for the rows that are about one person, None if there are none; ``hidden`` columns
    are exported to nobody. ``exported``: whether its rows are. ``keyed``: its rows have an ``id`` that orders them.
    """

    name: str
    of_person: str | None = None
    hidden: frozenset[str] = frozenset()
    exported: bool = True
    keyed: bool = True


TABLES: Final = (
    Table("webhook_deliveries", _USER),
    Table("webhook_endpoints", hidden=frozenset({"secrets"})),
    Table("closure_decisions", _CONVERSATION),
    Table("drafts", f"(user_id = :user_id OR {_CONVERSATION})", exported=False, keyed=False),
    Table("used_forms", exported=False, keyed=False),
    Table("canned_replies"),
    Table("conversation_events", _CONVERSATION, hidden=frozenset({"staff"})),
    Table("conversation_notes", _CONVERSATION, hidden=frozenset({"author"})),
    Table("tool_runs", _CONVERSATION),
    Table("pending_actions", _CONVERSATION),
    Table("memory_vectors", _USER, exported=False, keyed=False),
    Table("memories", _USER, hidden=frozenset({"keys", "keys_version", "text_hash"})),
    Table("reminders", _USER),
    Table("interactions", _USER),
    Table("people", _USER),
    Table("ledger_entries", _USER),
    Table("media", _MESSAGE, hidden=frozenset({"url", "worded"})),
    Table("messages", _CONVERSATION, hidden=frozenset({"staff"})),
    Table("ai_results", _CONVERSATION, hidden=frozenset({"prompt_id", "prompts"})),
    Table("opt_outs", _USER, keyed=False),
    Table("read_marks", f"({_USER} OR {_CONVERSATION})", exported=False, keyed=False),
    Table("conversation_labels", _CONVERSATION, keyed=False),
    Table("labels"),
    Table("message_terms", exported=False, keyed=False),
    Table("changes", _CONVERSATION, exported=False),
    Table("conversations", _USER, hidden=frozenset({"assignee_id"})),
    Table("usage", _USER, keyed=False),
    Table("usage_months", keyed=False),
    Table("budget_alerts", _USER),
    Table("quota_alerts", _USER),
    Table("refresh_tokens", _SESSION, exported=False, keyed=False),
    Table("sessions", _USER, hidden=frozenset({"cookie_hash"})),
    Table("api_tokens", _USER, hidden=frozenset({"hash"})),
    Table("idempotency_keys", "principal = :public", exported=False),
    Table("user_addresses", _USER, keyed=False),
    Table("users", "id = :user_id", hidden=frozenset({"password_hash", "token_version", "found_by"})),
    Table("feature_versions"),
    Table("features"),
    Table("http_tools", hidden=frozenset({"secret"})),
    Table("templates"),
    Table("subscriptions"),
    Table("twilio_numbers", keyed=False),
    Table("twilio_accounts", hidden=frozenset({"tokens"})),
    Table("kept_opt_outs", exported=False, keyed=False),
    Table("rollups", keyed=False),
)

EXEMPT: Final = {
    "owners": "the owner's own row, emptied",
    "plans": "the platform's, of nobody",
    "rollup_positions": "the platform's, of nobody",
    "jobs": "found by the ids in their payloads",
    "audit_log": "append-only but for erase_from_audit and erase_audit",
    "audit_erasures": "the marker of that exception, empty outside of it",
    "erasures": "the receipts",
    "memory_words": "the words of memories, taken out with each of them; memory_words_… are its own tables",
    "memory_vocabulary": "a view on memory_words",
    "message_words": "the words of messages, taken out with each of them; message_words_… are its own tables",
    "message_words_progress": "how far message_words is filled, for all owners",
}
"""Tables of which no row is deleted by condition, each with the reason."""
