"""Settings and care: what an owner's staff set, whom they let in, what they are told, and what they keep of people."""
