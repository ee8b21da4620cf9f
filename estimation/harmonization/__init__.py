"""Matrices of moves brought to agree with census tables, step by step."""
