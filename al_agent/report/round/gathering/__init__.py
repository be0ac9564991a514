"""From a round, the project and what is known of its items to the facts of its page."""
