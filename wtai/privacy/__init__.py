"""What is kept of people and owners, handed to them or erased, in back-ups too."""
