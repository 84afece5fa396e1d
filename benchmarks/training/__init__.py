"""Training a model: recipes, the loop, how it lies in memory."""
