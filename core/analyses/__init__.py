"""The methods, one module each, and the table that lists them."""
