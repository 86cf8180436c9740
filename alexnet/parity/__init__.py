"""Same net, same numbers: what every backend computes, compared with the reference."""
