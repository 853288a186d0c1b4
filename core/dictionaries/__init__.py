"""Sparse dictionaries (autoencoders and transcoders): every published format in one form."""
