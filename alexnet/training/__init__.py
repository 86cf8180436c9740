"""Training runs: recipes, the training loop, histories, callbacks and checkpoints."""
