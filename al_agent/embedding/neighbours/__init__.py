"""Which items are alike: near-duplicates, and outliers."""
