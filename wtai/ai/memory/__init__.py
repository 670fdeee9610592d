"""What is remembered of a person: facts found again by words and by vectors, summaries, and the window in process."""
