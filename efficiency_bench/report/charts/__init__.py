"""Charts; one specification serves PNG, SVG and the page."""
