"""Pictures as functions of answers: `figure(result, look) -> go.Figure`."""
