"""Training of one run: loop, optimizer, schedule, evaluation.  Takes values, yields records."""
