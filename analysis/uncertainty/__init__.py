"""How sure a power-law fit is: goodness of fit, intervals of alpha and xmin, and how alpha depends on xmin.

Everything random starts from a seed, and every replicate repeats the search for xmin. Not covered: uncertainty from
the training run, from the precision of the weights, or between layers.
"""
