"""Answers: labelled numpy arrays that save, load and become tables."""
