"""Hydra configuration: one file a publication, a model, a recipe, a data set."""
