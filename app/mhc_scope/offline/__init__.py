"""The page's figures without a server: a document that holds everything, and the widget that shows it in a notebook."""
