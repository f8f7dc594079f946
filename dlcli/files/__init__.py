"""Files of any kind: paths, atomic writes, formats, locks, moves, archives, downloads."""
