"""The web door: hospital systems post ECGs here. Never imports torch."""
