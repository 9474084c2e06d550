"""What every JMAP method answers, as tables: one file of this folder for each family of objects."""
