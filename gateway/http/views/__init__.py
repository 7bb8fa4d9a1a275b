"""HTTP answers as structs: their JSON and their schemas in the OpenAPI document are made from one declaration."""
