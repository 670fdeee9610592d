-- Where an attachment is: announced, kept under path (inside the media directory), or not to be had.
ALTER TABLE media ADD COLUMN status TEXT NOT NULL DEFAULT 'announced' CHECK (status IN ('announced', 'kept', 'failed'));
ALTER TABLE media ADD COLUMN path TEXT;
ALTER TABLE media ADD COLUMN size INTEGER;
ALTER TABLE media ADD COLUMN sha256 TEXT;
ALTER TABLE media ADD COLUMN transcript TEXT;
