"""Training on photos: what a job of photos has besides what every job has."""
