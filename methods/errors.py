"""What a user can do wrong when asking for a method or a backbone."""


class MethodError(ValueError):
    """One line that says what was wrong and what to do."""
