"""The ops: each declared once, with its derivative rules, documentation, method and operator."""
