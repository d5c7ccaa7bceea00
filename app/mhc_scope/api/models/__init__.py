"""Define bodies of requests and responses, one file per resource. The OpenAPI description is built from them."""
