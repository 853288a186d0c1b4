"""Operations with a plain torch reference and, where it pays, a fast version.

This file stays empty: the transformers library looks for a package of this name and
imports it while probing, so nothing here may have an effect.
"""
