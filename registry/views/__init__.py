"""The pages: views of about ten lines, each of which finds, shows a form, acts and answers."""
