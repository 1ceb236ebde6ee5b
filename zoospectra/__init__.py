"""zoospectra measures the quality of pretrained neural networks from their weights alone."""
