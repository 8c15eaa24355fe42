"""The paper's temporal head: CG-DETR with the task token's state as one more word."""

from tpo_heads.temporal_cgdetr.criterion import SetTargets, set_criterion, weighted_total
from tpo_heads.temporal_cgdetr.head import CGDETRHead, MomentsOutputs
from tpo_heads.temporal_cgdetr.model import CGDETR
from tpo_heads.temporal_cgdetr.settings import CGDETRSettings

__all__ = [
    "CGDETR",
    "CGDETRHead",
    "CGDETRSettings",
    "MomentsOutputs",
    "SetTargets",
    "set_criterion",
    "weighted_total",
]
