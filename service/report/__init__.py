"""The answer on one page of A4: composed once as marks in millimetres, drawn by a PDF pen or an SVG pen."""
