"""The rules that a policy is made of, one to a module."""
