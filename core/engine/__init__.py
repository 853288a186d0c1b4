"""Reading and changing a running model."""
