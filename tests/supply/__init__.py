"""What the project is made of: licences of what it needs, and no secret among its files."""
