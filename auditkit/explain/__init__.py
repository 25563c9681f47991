"""Explanation: which words carry a prediction, and whether that can be believed. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditkit import lazy

if TYPE_CHECKING:
    from auditkit.explain.attention import AttentionMap, HeadRoles, attention_maps, flow, head_roles, rollout
    from auditkit.explain.attention_gradients import Agreement, gradient_agreement
    from auditkit.explain.attribution import Attribution, Attributions, attribute, attribute_each_token
    from auditkit.explain.checks import Check, Faithfulness
    from auditkit.explain.contrast import Driver, contrast_pairs, drivers
    from auditkit.explain.faithfulness import judge
    from auditkit.explain.introspection import LayerProbe, layer_vectors, probe_layers
    from auditkit.explain.methods import METHODS, Settings
    from auditkit.explain.removal import aopc
    from auditkit.explain.surrogate import Anchor, Surrogate, anchor, anchor_fidelity, fit_tree
    from auditkit.explain.targets import Continuation, Filler, Label, NextToken, Output, Similarity

_HOMES = {
    ".attention": ("AttentionMap", "HeadRoles", "attention_maps", "flow", "head_roles", "rollout"),
    ".attention_gradients": ("Agreement", "gradient_agreement"),
    ".attribution": ("Attribution", "Attributions", "attribute", "attribute_each_token"),
    ".contrast": ("Driver", "contrast_pairs", "drivers"),
    ".checks": ("Check", "Faithfulness"),
    ".faithfulness": ("judge",),
    ".introspection": ("LayerProbe", "layer_vectors", "probe_layers"),
    ".methods": ("METHODS", "Settings"),
    ".removal": ("aopc",),
    ".surrogate": ("Anchor", "Surrogate", "anchor", "anchor_fidelity", "fit_tree"),
    ".targets": ("Continuation", "Filler", "Label", "NextToken", "Output", "Similarity"),
}
__all__ = [
    "METHODS",
    "Agreement",
    "Anchor",
    "AttentionMap",
    "Attribution",
    "Attributions",
    "Check",
    "Continuation",
    "Driver",
    "Faithfulness",
    "Filler",
    "HeadRoles",
    "Label",
    "LayerProbe",
    "NextToken",
    "Output",
    "Settings",
    "Similarity",
    "Surrogate",
    "anchor",
    "anchor_fidelity",
    "aopc",
    "attention_maps",
    "attribute",
    "attribute_each_token",
    "contrast_pairs",
    "drivers",
    "fit_tree",
    "flow",
    "gradient_agreement",
    "head_roles",
    "judge",
    "layer_vectors",
    "probe_layers",
    "rollout",
]

__getattr__, __dir__ = lazy.exports(__name__, _HOMES)
