"""The live page and its editor: the page of a report, served to one person's own browser (extra ``web``)."""
