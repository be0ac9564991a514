"""The HTML page of a round or a study: one file that opens from disk, without a network."""
