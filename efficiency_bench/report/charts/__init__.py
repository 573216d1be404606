"""Charts, one specification for PNG, SVG and the page."""
