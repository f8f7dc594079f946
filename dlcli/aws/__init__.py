"""A rented GPU box on EC2: its price, network and life, and copies to and from it."""
