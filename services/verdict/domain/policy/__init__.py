"""A policy: what its file says, made ready to be judged by, and which version is in force where and when."""
