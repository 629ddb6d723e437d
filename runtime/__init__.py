"""The one place that wires: it alone reads the environment, opens resources and starts
processes."""
