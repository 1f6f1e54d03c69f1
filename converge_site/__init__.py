"""The face of Converge: settings, pages, sockets, admin."""
