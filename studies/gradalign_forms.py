"""The plugin that registers the study's forms of GradAlign as scores.

python -m nas_search.rank plugins=[studies.gradalign_forms] proxies=[gradalign,mean_log_det]
"""

from __future__ import annotations

from nas_search.passes.per_sample import Grams, LayerFactors
from nas_search.passes.structure import Depth
from nas_search.proxies import PROXIES, ProxyRecord
from studies.forms import FORMS, GRID, Form

for _name, (_formula, *_) in (FORMS | GRID).items():
    PROXIES.add(
        ProxyRecord(
            name=_name,
            score=Form(_name),
            normalization="frozen",
            origin="ours",
            source="docs/study.md",
            summary=_formula,
            needs=(Grams, LayerFactors, Depth),
            formula=_formula,
        )
    )
