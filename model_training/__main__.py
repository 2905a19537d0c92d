"""python -m model_training."""

from model_training.cli import app

if __name__ == "__main__":
    app()
