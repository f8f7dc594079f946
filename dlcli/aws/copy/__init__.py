"""Copies to and from a box: what differs, then rsync or SFTP."""
