"""What data_cards/ is written with: a card in Markdown and a Croissant file for every dataset, from a build of it."""
