"""The record of every answer and refusal: one hash-chained row each, written before the answer leaves."""
