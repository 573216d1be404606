"""The headline under other choices: conventions, thresholds, decompositions."""
