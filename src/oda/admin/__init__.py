"""What an administrator of the servers makes for ODA: topics, tables, templates, accounts and their rights.

Whoever runs ODA then needs no right to make or alter anything (docs/security.md).
"""
