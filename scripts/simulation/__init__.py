"""What scripts/simulate.py is made of."""
