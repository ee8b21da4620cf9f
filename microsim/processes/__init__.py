"""The monthly processes, one a file, each a function from state to state.

Order within a month: macro, adoption, closing, displacement, job demand, search, insurance,
mobility, housing, local economy, accounts.
"""
