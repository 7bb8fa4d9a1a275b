"""Words every service shares: documents, instants, regions, errors. Pure: no grpc, no driver, no clock."""
