"""The names under which curves are shown, and what they are drawn against."""

CURVES = ("top1", "top5", "validation_loss", "train_loss")

AXES = ("paper3x_tfs_days", "images", "epochs", "train_seconds")
"""The first is the one that curves are drawn against unless a panel says otherwise."""
