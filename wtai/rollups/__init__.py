"""Counters of what happened, by owner and day, moved forward from the logs: so that figures are read, not searched for."""
