"""The texts whose words can be given other meanings, by name, and what is exchanged."""

MEANINGS: dict[str, str] = {
    "sums": "“Three plus four is”: above ten? The number words change their values.",
    "months": "“Two months after May is”: which half of the year? The months change their places.",
    "reviews": "“The food was not awful. Overall, it was”: adjectives change sides.",
    "coin flips": "Is the coin still heads up? For half of the names “flips” means “does not”.",
}
