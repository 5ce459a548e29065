"""What is counted, logged and traced: `stats` on the hot path, `metrics` the table, `exposition` the text."""
