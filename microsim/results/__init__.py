"""What a run leaves behind: tables, outcomes, comparisons, figures."""
