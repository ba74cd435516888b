"""What both halves need of HTTP: requests to URLs that users give, and server-sent events. Imports ``core`` alone."""
