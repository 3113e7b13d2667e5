"""Policies: what they are (`model`), how they are read and written (`codec`, `files`), and whether Cilium takes them (`validate`)."""
