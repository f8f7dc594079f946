"""Copies to and from a box: a plan of the differences, then rsync or SFTP."""
