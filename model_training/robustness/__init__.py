"""How far the answer moves when the recording is made a little worse, and what the gate notices of it."""
