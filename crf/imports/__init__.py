"""Lists from elsewhere (a laboratory, a questionnaire service) on their way into forms.

`sheet` reads a file without trusting it, `mapping` says what its columns are, `plan` tells what
each line would change. Writing is `crf.services.imports`.
"""
