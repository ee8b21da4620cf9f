"""Workers, firms and metros: their tables, and how a population is made."""
