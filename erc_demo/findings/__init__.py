"""What we make of a dialogue: Analysis, Features, Prediction with its Maps, Explanation."""

from erc_demo.findings.analysis import LAYOUT, Analysis, Step
from erc_demo.findings.explanation import (
    VARIANTS,
    Effect,
    Explanation,
    Faithfulness,
    Variant,
)
from erc_demo.findings.features import LEVELS, WHY, Features, Remark
from erc_demo.findings.prediction import AXES, Map, Prediction

__all__ = [
    "AXES",
    "LAYOUT",
    "LEVELS",
    "VARIANTS",
    "WHY",
    "Analysis",
    "Effect",
    "Explanation",
    "Faithfulness",
    "Features",
    "Map",
    "Prediction",
    "Remark",
    "Step",
    "Variant",
]
