"""What lookup knows of the world. Pure: no grpc, no driver, no clock."""
