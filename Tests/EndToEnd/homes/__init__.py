"""Homes for the end-to-end tests and the demonstration: a private XMPP server, nodes, and the processes that live in them."""
