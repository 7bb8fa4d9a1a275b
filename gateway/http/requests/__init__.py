"""HTTP requests as structs: strict JSON, every field typed, none unknown, turned into the contract's messages."""
