-- Where an attachment is: announced until it was fetched and, if it is audio, heard; then kept, or failed for the reason in error.
ALTER TABLE media ADD COLUMN status TEXT NOT NULL DEFAULT 'announced' CHECK (status IN ('announced', 'kept', 'failed'));
-- The file inside the media directory, shared by attachments of one owner that have the same content.
ALTER TABLE media ADD COLUMN path TEXT;
ALTER TABLE media ADD COLUMN size INTEGER;
ALTER TABLE media ADD COLUMN sha256 TEXT;
-- What the sender called the file.
ALTER TABLE media ADD COLUMN name TEXT;
-- What is said in audio; empty if nothing is.
ALTER TABLE media ADD COLUMN transcript TEXT;
ALTER TABLE media ADD COLUMN error TEXT;
-- When the person was told that their audio could not be heard.
ALTER TABLE media ADD COLUMN told_at INTEGER;
CREATE INDEX media_by_content ON media (owner_id, sha256) WHERE sha256 IS NOT NULL;
