"""The monthly processes, one a file, each a function from state to state.

Order within a month: macro, adoption, closing, alignment, displacement, place programmes, job demand, search,
hiring subsidies, insurance, mobility, housing, local economy, accounts.
"""
