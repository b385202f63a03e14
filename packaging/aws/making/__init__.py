"""Makes the documents, templates and packages of this folder; started by scripts/aws-templates."""
