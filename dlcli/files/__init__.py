"""Files of any kind: paths, whole writes, formats, locks, moves, archives, downloads."""
