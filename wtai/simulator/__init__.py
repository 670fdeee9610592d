"""Fake Twilio and scripted model over real HTTP, with a phone page to chat from."""
