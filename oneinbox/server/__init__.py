"""Composition: the process that serves REST, pages and signalling sockets, and watches over the workers."""
