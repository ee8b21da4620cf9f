"""The monthly processes, one a file, each a function from state to state.

Order within a month: displacement, job demand, search, mobility, housing, accounts.
"""
