"""The management API: one declaration for each route, from which routing, validation and documentation come."""
