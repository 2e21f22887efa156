"""The printed form of modules."""

__all__: list[str] = []


def layout(name: str, details: list[str], children: list[str]) -> str:
    """Arrange a printed module: details alone on one line, everything else one line each."""
    if not children and len(details) <= 1:
        return f"{name}({''.join(details)})"
    return "\n  ".join([f"{name}(", *details, *children]) + "\n)"


def indented(text: str) -> str:
    """Indent every line but the first."""
    return text.replace("\n", "\n  ")
