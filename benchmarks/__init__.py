"""How fast Eidoscope is, measured beside its peers. `make bench`."""
