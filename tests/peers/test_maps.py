"""Maps that other packages draw."""

import numpy as np
import pytest

from tinyseq import lens


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_maps_of_other_packages_keep_groups_together(method, rng):
    package = {"tsne": "sklearn", "umap": "umap"}[method]
    pytest.importorskip(package, reason=f"the map is computed by {package}")
    groups = np.repeat([0, 1], 15)
    vectors = rng.normal(size=(30, 8)) + 20 * groups[:, None]
    found = lens.flat(vectors, method=method)
    middle = np.array([found[groups == k].mean(axis=0) for k in (0, 1)])
    nearer = np.linalg.norm(found[:, None] - middle, axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(nearer, groups)
