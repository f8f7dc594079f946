"""From a download to a dataset: archives, folders, CSVs of labels or pixels."""
