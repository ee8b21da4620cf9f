"""The monthly processes, one a file, each a function from state to state.

Order within a month: macro, adoption, remote work, closing, alignment, displacement, place
programmes, job demand, retraining, job changes, search, hiring subsidies, insurance, mobility,
ties, local moves, housing, local economy, accounts.
"""
