"""The decision service. It never imports `converge_site`."""
