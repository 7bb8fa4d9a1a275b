"""The API's description, OpenAPI 3.1."""
