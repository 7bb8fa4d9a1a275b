"""Test certificates at the gateway: issued under the regions' keys, verified, and presented as evidence."""
