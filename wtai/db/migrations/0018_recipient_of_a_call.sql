-- To whom the provider was last asked to send the message: a person may write from another address before that call's outcome is known.
ALTER TABLE messages ADD COLUMN called_for TEXT;
