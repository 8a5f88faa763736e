"""One file for each part of the pages; each view makes one domain call and shows the answer."""
