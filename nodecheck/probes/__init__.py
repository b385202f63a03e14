"""Look at the node and the network, and return facts."""
