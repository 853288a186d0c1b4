"""Eidoscope's engine: models, hooks, analyses, answers. Notebooks import `core.api`."""
