"""The errors that flowmine raises on purpose: one tree, each a name and a sentence.

A message says where, what, and what to do next. Programmer mistakes stay builtins and keep their traceback.
"""

__all__ = ["FlowmineError", "InputError", "PolicyError", "SchemaError", "UsageError"]


class FlowmineError(Exception):
    """Base of all errors that a user can act on; the command line prints them as one line."""


class InputError(FlowmineError):
    """A capture cannot be read: missing, unreadable, not a capture, or (strict) holding a bad event."""


class PolicyError(FlowmineError):
    """A policy document cannot be read, or Cilium would refuse it where that was asked to be fatal."""


class SchemaError(FlowmineError):
    """A table or a stored file does not have the columns and types that this version works with."""


class UsageError(FlowmineError):
    """The options given contradict each other or the question cannot be answered as asked."""
