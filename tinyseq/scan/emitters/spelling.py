"""Words that Python and C say alike in a kernel; what they say differently stands beside each emitter."""

ALIKE = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "square": "{0} * {0}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "isfinite": "{0} - {0} == real(0)",
}
# Of one number, as the languages' libraries of mathematics call them.
MATHEMATICS = ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "erf")
