"""Which model, loaded how, checked against which identities."""
