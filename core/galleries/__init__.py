"""What every feature of a sparse dictionary responds to: made in one pass, kept in a folder."""
