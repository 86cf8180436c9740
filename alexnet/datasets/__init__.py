"""The known datasets, their files, the sample in this package, and the resizing of images."""
