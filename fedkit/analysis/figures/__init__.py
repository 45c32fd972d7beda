"""One style for every figure, and what draws clients, splits, verbs and runs.

- `style`: axes, colours and the plain kinds: curves, bars, dots, stacked bars, heat maps
- `clients`: clients as a crowd, a histogram, a row for each dataset, beside chance, or in a plane
- `heterogeneity`: numbers beside their iid controls, and from iid to the natural split
- `verbs`: shares by client, two-ring sunbursts; `methods`: drift in the plane, runs by round
"""

from ...common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "style": ("GREY", "WIDTH", "axes", "bars", "colours", "curves", "dots", "heatmap", "stacked"),
        "clients": ("against_chance", "crowds", "histogram", "islands", "ridges"),
        "heterogeneity": ("controls", "slider", "split_curve"),
        "verbs": ("sunburst", "sunbursts", "verb_bars"),
        "methods": ("away", "by_round", "drift", "plane"),
    },
)
