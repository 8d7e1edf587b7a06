"""Priors: fitted, stored, read again, refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.priors import Prior, fit_prior, load_prior
from nas_search.priors import prior as prior_module
from nas_search.priors.archive import read_archive
from nas_search.priors.combine import combined
from nas_search.priors.prior import design
from nas_search.priors.process import MOST_TRAININGS
from nas_search.priors.reference import reference_of
from nas_search.priors.warp import normal_scores
from nas_search.spaces import SPACES, SearchSpace

SPACE: SearchSpace[Any] = SPACES.get("nasbench201").space()


def cells(count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def quality(architectures: list[Any]) -> np.ndarray:
    """Return what a prior shall learn: convolutions are good, none on the way is bad."""
    features = graph_features(SPACE, architectures)
    index = {name: i for i, name in enumerate(features.names)}
    convolutions = features.values[:, index["cell.count[convolution]"]]
    return np.asarray(convolutions + features.values[:, index["cell.depth_max"]])


@pytest.fixture(scope="module")
def prior() -> Prior:
    trained = cells(60)
    return fit_prior(SPACE, trained, {"made": quality(trained)}, trees=40)


def test_normal_scores_are_quantiles_of_ranks() -> None:
    scores = normal_scores([3.0, 90.0, 4.0, 4.0])
    assert scores[0] == -scores[1] and scores[2] == scores[3] == 0
    assert scores[1] == pytest.approx(1.1503, abs=1e-4)  # quantile at 7/8


def test_a_prior_ranks_cells_that_it_never_saw(prior: Prior) -> None:
    unseen = cells(200, seed=1)
    mean, deviation = prior.predict(unseen)
    assert spearmanr(mean, quality(unseen)).statistic > 0.85
    assert mean.shape == deviation.shape == (200,) and (deviation > 0).any()


def test_protocols_need_no_common_scale() -> None:
    trained = cells(40)
    accuracies = quality(trained)
    halves = np.arange(40) % 2 == 0
    tables = {
        "long": np.where(halves, 90 + accuracies / 100, np.nan),
        "short": np.where(halves, np.nan, np.exp(accuracies)),
    }
    unseen = cells(100, seed=2)
    weights = {"long": 4.0}
    one = fit_prior(SPACE, trained, tables, weights, trees=30).predict(unseen)[0]
    tables["long"] = 7 * tables["long"] - 3
    again = fit_prior(SPACE, trained, tables, weights, trees=30).predict(unseen)[0]
    np.testing.assert_array_equal(one, again)
    assert spearmanr(one, quality(unseen)).statistic > 0.75


def test_a_prior_is_the_same_read_again(prior: Prior, tmp_path: Path) -> None:
    prior.save(tmp_path / "a.prior")
    again = load_prior(tmp_path / "a.prior", SPACE)
    unseen = cells(50, seed=3)
    for here, there in zip(prior.predict(unseen), again.predict(unseen), strict=True):
        np.testing.assert_array_equal(here, there)
    assert again.digest == prior.digest and again.card == prior.card
    again.save(tmp_path / "b.prior")
    assert (tmp_path / "a.prior").read_bytes() == (tmp_path / "b.prior").read_bytes()


def test_texts_and_scores_are_taken() -> None:
    trained = cells(40)
    noise = np.random.default_rng(0).normal(size=40)
    fitted = fit_prior(SPACE, trained, {"made": noise}, scores={"gradalign": noise}, trees=60)
    texts = [str(one) for one in trained]
    mean, _ = fitted.predict(texts, {"gradalign": noise})
    assert spearmanr(mean, noise).statistic > 0.9
    with pytest.raises(InputError, match="needs the score gradalign"):
        fitted.predict(texts)
    with pytest.raises(InputError, match="finite"):
        fitted.predict(texts, {"gradalign": noise * np.nan})


def test_a_score_is_seen_beside_many_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    trained, unseen = cells(40), cells(200, seed=1)
    here, there = rng.normal(size=40), rng.normal(size=200)  # which structure does not tell
    scores = {"gradalign": here + rng.normal(0, 0.1, 40)}
    fit_prior(SPACE, trained, {"made": here}, scores=scores, trees=60).save(tmp_path / "my.prior")
    read = load_prior(tmp_path / "my.prior", SPACE)
    mean, _ = read.predict(unseen, {"gradalign": there + rng.normal(0, 0.1, 200)})
    assert spearmanr(mean, there).statistic > 0.85


def test_few_trainings_on_top_of_a_prior_keep_what_it_knows(prior: Prior) -> None:
    trained = cells(10, seed=8)
    unseen = cells(200, seed=1)
    noise = np.random.default_rng(0).normal(size=10)  # which has nothing to teach
    on_top = fit_prior(SPACE, trained, {"own": noise}, base=prior, trees=40)
    alone = fit_prior(SPACE, trained, {"own": noise}, trees=40)
    right = [spearmanr(p.predict(unseen)[0], quality(unseen)).statistic for p in (on_top, alone)]
    assert right[0] > 0.8 > right[1]
    assert on_top.forest.trees == 40
    with pytest.raises(InputError, match="of this space"):
        darts = SPACES.get("darts").space()
        drawn = [darts.sample(np.random.default_rng(i)) for i in range(10)]
        fit_prior(darts, drawn, {"own": noise}, base=prior)


def test_after_few_trainings_it_is_half_a_forest_beside_the_line_and_half_a_process(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    trained, unseen = cells(40), cells(100, seed=1)
    here, there = rng.normal(size=40), rng.normal(size=100)
    told = {"made": quality(trained) + here}
    fitted = fit_prior(SPACE, trained, told, scores={"gradalign": here}, trees=40)
    mean, deviation = fitted.predict(unseen, {"gradalign": there})
    values = design(SPACE, unseen, ("gradalign",), {"gradalign": there})
    structure, known = fitted.split(values)
    assert fitted.line is not None and fitted.line.slopes[0] > 0.2
    (share,) = fitted.processes
    trees, process = fitted.forest.predict(values), share.process.predict(structure, known)
    line = fitted.line.predict(known)
    np.testing.assert_allclose(mean, (line + trees[0] + process[0]) / 2)
    np.testing.assert_allclose(deviation, (trees[1] + process[1]) / 2)
    alone = fit_prior(SPACE, trained, told, scores={"gradalign": here}, trees=40, process=False)
    truth = quality(unseen) + there
    right = [
        spearmanr(p.predict(unseen, {"gradalign": there})[0], truth).statistic
        for p in (fitted, alone)
    ]
    assert right[0] > right[1] + 0.02
    fitted.save(tmp_path / "my.prior")
    again = load_prior(tmp_path / "my.prior", SPACE)
    for one, other in zip(
        again.predict(unseen, {"gradalign": there}), (mean, deviation), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert again.digest == fitted.digest != alone.digest


def test_a_forest_alone_has_the_format_of_before(tmp_path: Path) -> None:
    trained = cells(30)
    fit_prior(SPACE, trained, {"made": quality(trained)}, trees=20, process=False).save(
        tmp_path / "my.prior"
    )
    record, arrays = read_archive(tmp_path / "my.prior")
    assert record["format"] == 1 and not {"line", "processes"} & set(record)
    assert set(arrays) == {"feature", "threshold", "right", "value", "roots"}
    assert load_prior(tmp_path / "my.prior", SPACE).processes == ()


def test_the_largest_process_stays_small(tmp_path: Path) -> None:
    trained = cells(MOST_TRAININGS + 1)
    told = quality(trained) + np.random.default_rng(0).normal(size=len(trained))
    with pytest.raises(InputError, match="401 trainings are too many for a process"):
        fit_prior(SPACE, trained, {"made": told}, trees=20, process=True)
    assert not fit_prior(SPACE, trained, {"made": told}, trees=20).processes
    fit_prior(SPACE, trained[:-1], {"made": told[:-1]}, trees=20).save(tmp_path / "my.prior")
    size = (tmp_path / "my.prior").stat().st_size
    assert size < 150_000  # beside 500 trees, at most 850,000


def test_a_prior_on_top_of_one_with_a_process_keeps_it(prior: Prior) -> None:
    trained, unseen = cells(20, seed=8), cells(50, seed=1)
    noise = np.random.default_rng(0).normal(size=20)
    on_top = fit_prior(SPACE, trained, {"own": noise}, base=prior, trees=60)
    new, old = on_top.processes
    assert new.weight == pytest.approx(20 / 60 / 2)
    assert old.weight == pytest.approx(40 / 60 / 2) and old.process is prior.processes[0].process
    expected = on_top.rest * on_top.forest.predict(design(SPACE, unseen, (), {}))[0]
    for share in on_top.processes:
        own, _ = share.process.predict(design(SPACE, unseen, (), {}), np.empty((50, 0)))
        expected += share.weight * own
    np.testing.assert_allclose(on_top.predict(unseen)[0], expected)


def test_what_teaches_nothing_is_refused() -> None:
    trained = cells(20)
    with pytest.raises(InputError, match="3 trained architectures are too few"):
        fit_prior(SPACE, trained[:3], {"made": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match="all 20 accuracies are equal"):
        fit_prior(SPACE, trained, {"made": np.ones(20)})
    with pytest.raises(InputError, match="finite"):
        fit_prior(SPACE, trained, {"made": [np.inf, *range(19)]})
    with pytest.raises(InputError, match="weight"):
        fit_prior(SPACE, trained, {"made": np.arange(20.0)}, {"made": -1.0})


def test_priors_of_others_are_refused(
    prior: Prior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.prior"
    prior.save(file)
    with pytest.raises(InputError, match=r"search_space=nasbench201, not of search_space=darts"):
        load_prior(file, SPACES.get("darts").space())
    monkeypatch.setattr(prior_module, "VERSION", 2)
    with pytest.raises(InputError, match="other features"):
        load_prior(file, SPACE)
    monkeypatch.setattr(prior_module, "READABLE", (3,))
    with pytest.raises(InputError, match="is a prior of format 2, this version reads 2"):
        load_prior(file, SPACE)


def test_broken_files_are_refused_in_one_line(prior: Prior, tmp_path: Path) -> None:
    file = tmp_path / "my.prior"
    with pytest.raises(InputError, match="there is no prior"):
        load_prior(file, SPACE)
    prior.save(file)
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    readable = 0
    for _ in range(60):
        broken = bytearray(whole)
        if rng.random() < 0.3:
            broken = broken[: int(rng.integers(len(whole)))]
        else:
            for place in rng.integers(len(whole), size=3):
                broken[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(broken))
        try:
            load_prior(file, SPACE)
            readable += 1  # bytes that nobody reads, as the time of an entry
        except InputError as error:
            assert "\n" not in str(error) and str(file) in str(error)
    assert readable < 20
    np.savez(file, record=np.array([{"a": 1}], dtype=object))  # a pickle inside
    with pytest.raises(InputError, match="no readable prior"):
        load_prior(file, SPACE)


def test_nothing_in_the_file_is_pickled(prior: Prior, tmp_path: Path) -> None:
    prior.save(tmp_path / "my.prior")
    with np.load(tmp_path / "my.prior", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
        record = json.loads(stored["record"].tobytes())
    assert record["search_space"] == "nasbench201"
    assert zipfile.is_zipfile(tmp_path / "my.prior")


def test_a_score_is_standardized_in_its_logarithm() -> None:
    drawn = np.exp(np.random.default_rng(0).normal(7, 0.2, size=4000))
    reference = reference_of(drawn, "made")
    assert reference.center == pytest.approx(7, abs=0.02)
    assert reference.spread == pytest.approx(0.2, abs=0.02)
    probed = np.exp([1.0, 6.8, 7.0, 7.2, 20.0])
    mapped = reference.standardized(probed)
    np.testing.assert_allclose(mapped[1:4], [-1, 0, 1], atol=0.1)
    # Networks of another size, all of whose scores are ten times as high, differ by as much.
    np.testing.assert_allclose(np.diff(reference.standardized(10 * probed)), np.diff(mapped))
    assert np.isfinite(reference.standardized([0.0])).all()
    with pytest.raises(ValueError, match="damaged"):
        reference_of(np.ones(10), "made")


def test_score_and_prior_weigh_the_same_and_no_neighbor_matters(prior: Prior) -> None:
    with pytest.raises(InputError, match="does not say how gradalign is distributed"):
        combined(prior, np.zeros(1), "gradalign", [1.0])
    scores = np.exp(np.random.default_rng(0).normal(5, 3, size=2000))
    whole = prior.described({}, {"gradalign": reference_of(scores, "made")})
    unseen = cells(300, seed=5)
    mean, _ = whole.predict(unseen)
    own = np.exp(np.random.default_rng(1).normal(5, 3, size=300))
    both = combined(whole, mean, "gradalign", own)
    alone = combined(whole, mean[7:8], "gradalign", own[7:8])
    assert both[7] == alone[0]
    parts = [np.corrcoef(both, one)[0, 1] for one in (mean, np.log(own))]
    assert parts == pytest.approx([0.71, 0.71], abs=0.08)
