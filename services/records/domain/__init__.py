"""The rules of test records and laboratories, whatever keeps them. Pure: no grpc, no driver, no clock."""
