"""The operator console: pages for an owner's staff, rendered here, kept live by one stream of changes a tab."""
