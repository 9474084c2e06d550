"""What both engines do in the SQL that they share: the writer's course, accounts, mailboxes, people, the timeline.

See `database.py` for what shared SQL is.
"""
