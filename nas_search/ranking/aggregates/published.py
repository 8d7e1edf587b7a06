"""The published aggregates, and the one whose members the user names."""

from nas_search.ranking.aggregates.base import AGGREGATES, AggregateRecord, log_rank_sum, rank_sum

AGGREGATES.add(
    AggregateRecord(
        name="aggregate",
        combine=log_rank_sum,
        members=(),
        origin="ours",
        source="the log-rank sum of AZ-NAS, of any members",
        summary="sum of the logarithms of the ranks under several scores",
        formula="sum_m log(rank_m / N)",
        caveats="depends on the other candidates",
    )
)
AGGREGATES.add(
    AggregateRecord(
        name="az_nas",
        combine=log_rank_sum,
        members=("az_expressivity", "az_progressivity", "az_trainability", "flops"),
        origin="paper",
        source="Lee & Ham, CVPR 2024; code cvlab-yonsei/AZ-NAS",
        summary="log-rank sum of expressivity, progressivity, trainability, FLOPs",
        formula="sum_m log(rank_m / N)",
        caveats="depends on the other candidates; published FLOPs are the benchmark's count",
    )
)
AGGREGATES.add(
    AggregateRecord(
        name="te_nas",
        combine=rank_sum,
        members=("ntk_cond", "linear_regions"),
        origin="paper",
        source="Chen et al., ICLR 2021; code VITA-Group/TENAS",
        summary="rank sum of NTK condition and linear regions",
        formula="rank(ntk_cond) + rank(linear_regions)",
        caveats="depends on the other candidates; the code prunes a supernet by their changes",
    )
)
AGGREGATES.add(
    AggregateRecord(
        name="vkdnw_agg",
        combine=log_rank_sum,
        members=("vkdnw", "jacob_cov", "az_expressivity", "az_trainability", "flops"),
        origin="paper",
        source="Tybl & Neumann, CVPR 2025; code ondratybl/VKDNW",
        summary="log-rank sum of VKDNW, jacob_cov, expressivity, trainability, FLOPs",
        formula="sum_m log(rank_m / N)",
        caveats="depends on the other candidates; members keep their init (code: kaiming_normal)",
    )
)
