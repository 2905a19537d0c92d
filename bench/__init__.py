"""What the speed claims rest on. One module a claim, each with `main()`; peers are measured in the same run."""
