"""Texts the product works on: readers for a user's own corpora, and the generated concept world."""
