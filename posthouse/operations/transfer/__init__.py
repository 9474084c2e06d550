"""Other people's forms of mail: mbox files, Maildir folders, IMAP servers; each can be read and written.

Blocking code for the command line, which runs it as the user who owns the files. A form is a `Source` or a `Target`
(`model`); `house` in `operations.mail_transfer` is the other end.
"""
