"""What a trained model does on a split: path tables, points, controls, execution, and a second count."""
