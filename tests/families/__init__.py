"""What the tiny test models are made of: one recipe per family, one tokenizer per kind."""
