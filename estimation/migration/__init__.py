"""What matrices of moves say, and how far they agree with tables and with the truth."""
