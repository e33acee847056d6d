"""Node ids and browse paths as text."""
