"""What the library of *Dive into Deep Learning* has alike in every column.

`alexnet.torch`, `alexnet.mxnet`, `alexnet.tensorflow` and `alexnet.paddle` take the place of the book's
``d2l.torch`` and so on, with the names that the chapters on image classification use. They hand on
this library's loader, training loop and plots; what does not depend on a framework stands here.

The four modules are much alike and are written out all the same: a reader's editor completes their
names, ``help`` shows them, and they can be laid side by side like the book's columns.
"""
