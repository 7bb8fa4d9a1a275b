"""The parts of `hutong policy simulate`: whom it goes through, and how it tells what came of it."""
