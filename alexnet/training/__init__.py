"""What a training run is: its recipe, its history, who is told of it, and how it is kept."""
