"""What a trained net has learned: its filters, its activations, and its errors."""
