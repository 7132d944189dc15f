"""Statements on callers' connections: inserts and reads, with one parameter, a JSON text that any driver can send."""
