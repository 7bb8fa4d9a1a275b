"""The secret of every mesh that tests run."""

SECRET = "a secret for tests, long enough"
