"""The rules of lookup. Pure: no grpc, no driver, no clock."""
