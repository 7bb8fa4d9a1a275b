"""Evidence: its values, which records are one test, and what is admitted to be judged."""
