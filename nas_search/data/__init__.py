"""Data sets, one file each, and the class-balanced probe batch for scoring candidates."""

from nas_search.data.assemble import stratified_holdout
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Split, normalize
from nas_search.data.fingerprint import fingerprint
from nas_search.data.probe import probe_batch

__all__ = [
    "DATASETS",
    "DatasetRecord",
    "ImageData",
    "Split",
    "fingerprint",
    "normalize",
    "probe_batch",
    "stratified_holdout",
]
