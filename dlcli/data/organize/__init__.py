"""From what people download to a dataset: archives, folders, CSVs of labels or pixels."""
