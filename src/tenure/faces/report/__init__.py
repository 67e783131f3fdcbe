"""The report, told twice from one story: a page that opens offline (`html`) and a print in the terminal."""
