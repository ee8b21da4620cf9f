"""The monthly processes, one a file, each a function from state to state.

Order within a month: macro, adoption, displacement, job demand, search, insurance, mobility,
housing, accounts.
"""
