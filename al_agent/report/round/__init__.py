"""The page of a round: what it shows, and how it is made."""
