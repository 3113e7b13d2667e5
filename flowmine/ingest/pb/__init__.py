"""Hubble's protobuf messages, generated from proto/ by ``python proto/generate.py`` and kept in a pool of their own."""
