"""The API: the same acts, permissions and checks as the pages, for programs that hold a token.

`sites.access.api()` settles who calls, for which site, and in which transaction; the functions here
read with explicit fields and write through the services. What a caller sends is refused as a whole
if anything in it is unknown or can't be kept: nobody looks over a program's shoulder.
"""
