"""Small complete programs of the kind that courses use, written once for ``torch`` and run with both libraries.

Every function ``program(torch, folder)`` imports nothing but what it is given, seeds the generator, and returns the numbers it
arrives at. Nothing in it knows which library it runs with.
"""
