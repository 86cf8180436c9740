"""The parts of the library of *Dive into Deep Learning* that are the same in every column.

`alexnet.torch`, `alexnet.mxnet`, `alexnet.tensorflow` and `alexnet.paddle` replace the book's ``d2l.torch``
and so on. They have the names that the chapters on image classification use. They call this library's
loader, training loop and plots. The code that does not depend on a framework is in this package.

The four modules repeat code on purpose. So an editor completes the names, ``help`` shows them, and readers
can compare the modules side by side, like the book's columns.
"""
