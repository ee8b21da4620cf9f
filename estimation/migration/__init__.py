"""What matrices of moves say: who moves where, how far, and up or down; indices; event studies."""
