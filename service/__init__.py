"""The web door: hospital systems post ECGs here. Never imports torch."""

__version__ = "0.1.0"
