"""HTTP/2 is not spoken; urllib3's own module imports what reads packages' metadata, 0.6 MB."""
