"""The controller's hands: it starts workers, talks to them, meters them and ends them."""
