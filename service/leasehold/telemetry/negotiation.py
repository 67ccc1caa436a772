"""Which form a caller of ops HTTP prefers, by its Accept and Accept-Encoding headers.

prometheus_client has such a choice, too. It ignores weights, fails on a version that is no number,
and repeats the caller's version in the answer.
"""


def weigh(header: str, *names: str) -> float:
    """Return how much a header prefers a value, 0 to 1, by the first of its names in the header.

    Pass the name of the value first, then its wildcards. A weight that is no number counts as 0.
    """
    weights: dict[str, float] = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weights[name] = max(weights.get(name, 0.0), _weight(parameters))
    return next((weights[name] for name in names if name in weights), 0.0)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
