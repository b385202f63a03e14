"""Tell the outside what a run found."""
