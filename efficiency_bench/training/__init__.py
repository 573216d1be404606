"""One run's training: loop, optimizer, schedule, evaluation.  Plain values in, records out."""
