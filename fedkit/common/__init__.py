"""The ground floor: errors in a sentence, seeds, files that appear whole, intervals, and what names a result."""
