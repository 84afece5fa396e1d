"""What the user can get wrong about data."""


class DataError(ValueError):
    """One line that says what is wrong with the data and what to do about it."""
