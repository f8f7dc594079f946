"""A rented GPU box on EC2: its price, its network, its life, what is copied to and from it."""
