"""Parts of pages: each asks its own questions and draws the answers."""
