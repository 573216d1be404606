"""Tables for the terminal, charts, and the HTML report."""
