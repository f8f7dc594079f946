"""What a trained run says: its predictions, photos from anywhere, exports."""
