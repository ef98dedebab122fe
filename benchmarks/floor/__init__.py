"""The floor of the pages: what plain Django, by the book, does with a form of 30 fields."""
