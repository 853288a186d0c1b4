"""The tasks that ship with the program, by name: what each asks, in words."""

TASK_PACKS: dict[str, str] = {
    "repeated_tokens": "random tokens, then the same again",
    "indirect_objects": "who is given something",
    "successions": "what comes next in an ordered list",
    "needle_in_text": "a password said earlier in a text",
    "colours": "the colour of one object of a list",
    "facts_against_context": "a false fact said in the prompt",
    "facts": "a fact, without a context",
}
