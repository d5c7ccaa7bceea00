"""Define bodies of requests and answers, one resource per file: the OpenAPI description is built from them."""
