"""Training sparse dictionaries: recipes, one file per architecture, the trainer, its activations.

After Gao et al., "Scaling and evaluating sparse autoencoders" (2024), whose TopK with an auxiliary
loss for silent latents is the default.
"""
