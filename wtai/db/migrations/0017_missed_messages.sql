-- Up to when (ms) everything written to a number was heard: by the webhooks, or by asking the provider for what they missed.
ALTER TABLE twilio_numbers ADD COLUMN heard_until INTEGER NOT NULL DEFAULT 0;
UPDATE twilio_numbers SET heard_until = unixepoch() * 1000;
