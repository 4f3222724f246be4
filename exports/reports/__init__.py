"""Reports written as JSON, as JUnit XML and as an HTML page."""
