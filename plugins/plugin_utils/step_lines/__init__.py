"""What the callback plugin `lines` prints a run with: steps as lines, and a terminal's line that is rewritten."""
