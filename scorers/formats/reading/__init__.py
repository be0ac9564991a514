"""What readers of all formats share: arrays, boxes in pixels, labels by name, items by file name."""
