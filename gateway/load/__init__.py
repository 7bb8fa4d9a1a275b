"""The order in which work is refused, or left out of answers, when there is too much to do."""
