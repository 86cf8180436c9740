"""Drawings of architectures from plain data: the diagram of a net, its layout, its picture as SVG and PNG.

This room knows no layers and no nets. `alexnet.spec` describes a net as a `Diagram`.
"""
