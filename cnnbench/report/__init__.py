"""Tables and summaries, derived from records; they can always be derived again."""
