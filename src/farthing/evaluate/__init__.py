"""How much a model lost: measured, never guessed."""
