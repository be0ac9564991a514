"""The page of a study: what it shows, and how it is made."""
