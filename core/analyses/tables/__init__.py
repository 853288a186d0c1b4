"""The analyses by what they are about, one module for each; `core.analyses.table` joins them."""
