"""Show the page's figures without a server: in one HTML document, and in a notebook widget that contains it."""
