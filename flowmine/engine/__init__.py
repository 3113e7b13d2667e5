"""The policy engine: compile a policy set once, then judge connections as Cilium 1.19 would, with the reason."""
