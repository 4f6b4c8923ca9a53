"""What really happens: a model and a batch, or a simulation, to a frozen result."""
