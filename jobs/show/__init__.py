"""What a person sees: tables, summaries, progress."""
