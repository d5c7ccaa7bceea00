"""Serve the pages, their files and headers, and the previews of their links."""
