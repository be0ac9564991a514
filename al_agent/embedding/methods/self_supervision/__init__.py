"""The parts of self-supervised learning: network, views, loss, and a loop that can be killed."""
