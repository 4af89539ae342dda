"""What decides: readings, batches, windows, judgement. No Storm, no I/O."""
