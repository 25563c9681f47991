"""Audit a model from a script, look at one number, and stop the script when a limit is broken."""

import auditkit as ak

report = ak.audit("minilm-mlm", probes=["stereotype_pairs", "pronoun_gap"], seed=0, out="audit-out/python")
score = report["stereotype_pairs/all/metric_score"]
print(f"{score.value:.1f} % of {score.n} pairs, 95 % interval {score.interval.low:.1f} to {score.interval.high:.1f}")
report.check([{"measurement": score.id, "equivalent_to": 50, "margin": 8}])  # raises ak.GateFailed
