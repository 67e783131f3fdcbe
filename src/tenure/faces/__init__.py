"""What people see: command line, pages, the report. Thin: parse, call, present."""
