"""A long run of mixed good and hostile traffic against the real server, and the page that it writes."""
