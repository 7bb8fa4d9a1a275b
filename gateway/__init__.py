"""The front door for health-code clients: HTTP/JSON and gRPC, one application behind both."""
