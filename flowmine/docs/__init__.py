"""The documentation that `flowmine help` shows: one Markdown page a topic."""
