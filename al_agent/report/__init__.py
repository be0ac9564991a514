"""Pictures of a round: what was picked, and what it brought."""
