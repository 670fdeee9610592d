"""Model, tool loop, specialists and the turn."""
