"""Whether a map explains: planted truth, deletion, sanity and the textbook, measured on what is served."""
