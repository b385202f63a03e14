"""HTTP/2 is not spoken; urllib3's own module imports what reads packages' metadata, 2 MB."""
