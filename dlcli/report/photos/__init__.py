"""A photo run's report: its evaluation, page, figures and thumbnails."""
