"""Command-line tools that make what the product ships."""
