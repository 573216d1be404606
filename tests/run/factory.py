"""Runs that are stopped on purpose."""


class StopAt:
    """A stop signal before each of the given steps, counted over all attempts."""

    def __init__(self, *steps):
        self.steps = set(steps)
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.asked in self.steps
