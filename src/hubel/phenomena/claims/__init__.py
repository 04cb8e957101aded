"""One file a claim: statement, source, what it needs to hold, the measurement, the figure. Written to be read."""
