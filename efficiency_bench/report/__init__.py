"""What is shown: tables and progress in the terminal, charts."""
