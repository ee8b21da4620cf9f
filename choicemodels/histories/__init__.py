"""From who was seen at which address and when, to who lived where a year ago."""
