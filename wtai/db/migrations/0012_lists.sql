-- The newest of an owner, for lists that name neither a conversation nor a person. The condition, which always holds, keeps the
-- planner from them in every other statement: only one that says "id > 0" may use them.
CREATE INDEX messages_by_owner ON messages (owner_id, id) WHERE id > 0;
CREATE INDEX memories_by_owner ON memories (owner_id, observed_at, id) WHERE id > 0;
