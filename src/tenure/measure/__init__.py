"""What is our churn? Movements, and metrics that are group-bys of them."""
