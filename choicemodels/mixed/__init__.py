"""Mixed logits: random coefficients, their draws and the simulated likelihood."""
