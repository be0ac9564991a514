"""What scorers do with a network of torch: tap its layers, read its loader, pass several times."""
