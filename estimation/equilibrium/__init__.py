"""What changes everywhere when something changes somewhere: equilibria over fitted flows."""
