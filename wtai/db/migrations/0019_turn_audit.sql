-- What a turn used beside the prompt that had the last word: all prompts by name and hash, in the order of their use, and whether a
-- budget asked for a smaller model or a shorter answer.
ALTER TABLE ai_results ADD COLUMN prompts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE ai_results ADD COLUMN stepped_down INTEGER NOT NULL DEFAULT 0 CHECK (stepped_down IN (0, 1));
UPDATE ai_results SET prompts = json_array(prompt_id) WHERE prompt_id <> '';
