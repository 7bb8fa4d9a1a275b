"""Sends a laboratory file to the store of its region, batch by batch, and reports every row that was not stored."""
