"""Bodies of requests and answers, one resource a file: the OpenAPI description is made from them."""
