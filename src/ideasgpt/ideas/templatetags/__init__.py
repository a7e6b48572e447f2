"""Django looks for template libraries in this package."""
