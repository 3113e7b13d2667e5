"""Leave flowmine running: record a relay or files, and keep edges, drift and recommendations up to date."""
