"""Test certificates: one result, signed by its issuer, that any verifier of HCERTs reads with no network."""
