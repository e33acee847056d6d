"""Evidence of a day: what was collected, what was not and why. Figures are pure, files are made of figures alone."""
