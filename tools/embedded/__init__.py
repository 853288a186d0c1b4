"""How the embedded models were made: one command per step, `python -m tools.embedded <step>`, or
`all`.
"""
