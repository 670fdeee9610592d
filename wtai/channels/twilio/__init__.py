"""All that is known of Twilio."""
