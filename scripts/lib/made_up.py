"""Words of which scripts make rows up."""

WORDS = "the film is a good and not very bad story of one long day in which all who see it say what they want".split()
