"""Runs that are stopped on purpose, and their entries without what clocks and folders change."""

TIMES = {"train_seconds", "evaluation_seconds"}


def comparable(entry):
    """All fields of an entry that do not depend on clocks or folders."""
    content = entry.model_dump(mode="json")
    for name in (
        "created_utc",
        "clocks",
        "event_log",
        "event_log_digest",
        "entry_digest",
        "provenance",
        "cost",
    ):
        del content[name]
    for name in ("repeated_images", "repeated_seconds", "repeated_paper3x_tfs_days"):
        del content[name]
    for evaluation in content["evaluations"]:
        for name in TIMES:
            del evaluation[name]
    return content


class StopAt:
    """A stop signal before each of the given steps, counted over all attempts."""

    def __init__(self, *steps):
        self.steps = set(steps)
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.asked in self.steps
