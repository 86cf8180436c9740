"""Where the images come from: known data sets, their files, the sample, and the resize."""
