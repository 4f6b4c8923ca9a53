"""Matrices of every kind are taken as they are, or refused in the same words."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import aslinearoperator

from d2lstab.measure.curvature import eigenpairs
from d2lstab.measure.symmetric_operator import symmetric_operator

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
MATRIX = np.array([[2.0, 1.0, 0.0], [1.0, -3.0, 0.5], [0.0, 0.5, 0.0]])
VECTOR = torch.tensor([1.0, -2.0, 4.0], dtype=torch.float64)


@pytest.mark.parametrize("kind", [sp.coo_array, sp.coo_matrix])
@pytest.mark.parametrize("form", FORMATS)
def test_sparse_matrices_multiply_and_are_checked_in_every_format(form, kind):
    operator = symmetric_operator(kind(MATRIX).asformat(form))
    torch.testing.assert_close(operator(VECTOR), torch.from_numpy(MATRIX) @ VECTOR)
    skew, holed = MATRIX.copy(), MATRIX.copy()
    skew[0, 2] = 7.0
    holed[1, 1] = np.nan
    with pytest.raises(ValueError, match=r"symmetric, got .* up to 7 where \|A\| is up to 7: "):
        symmetric_operator(kind(skew).asformat(form))
    for value in (np.nan, np.inf, -np.inf):
        holed[1, 1] = value
        with pytest.raises(ValueError, match="operator must be finite"):
            symmetric_operator(kind(holed).asformat(form))
    nothing = kind((3, 3)).asformat(form)
    assert not symmetric_operator(nothing)(VECTOR).any()


def test_a_triangle_is_no_symmetric_matrix():
    random = sp.random(60, 60, 0.1, format="csr", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="operator must be symmetric"):
        eigenpairs(sp.triu(random).tocsr(), 1)
    assert eigenpairs(random + random.T, 1).converged.all()


def test_round_off_of_a_sparse_matrix_is_forgiven_as_that_of_a_dense_one():
    """The bound is 100 eps^(3/4) |A|: 5.4e-10 of 3 in float64, 6.4e-4 of 3 in float32."""
    for dtype, small, large in ((np.float64, 1e-10, 1e-8), (np.float32, 1e-4, 1e-2)):
        for shift, passes in ((small, True), (large, False)):
            matrix = MATRIX.astype(dtype)
            matrix[0, 1] += shift
            for given in (matrix, sp.csr_array(matrix)):
                if passes:
                    assert symmetric_operator(given).n == 3
                else:
                    with pytest.raises(ValueError, match="symmetric"):
                        symmetric_operator(given)


def test_entries_given_twice_are_added_and_the_matrix_is_left_as_it_was():
    matrix = sp.csr_array(([1.0, 2.0, 3.0], [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    operator = symmetric_operator(matrix)
    assert operator(torch.tensor([1.0, 10.0]).double()).tolist() == [30.0, 3.0]
    assert matrix.data.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("convert", [torch.Tensor.to_sparse, torch.Tensor.to_mkldnn])
def test_tensors_that_are_not_dense_are_refused(convert):
    with pytest.raises(TypeError, match=r"must be dense, got a sparse tensor: pass \.to_dense"):
        eigenpairs(convert(torch.eye(3)), 1)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(np.longdouble, np.dtype(np.longdouble).name), (object, "object"), (complex, "complex128"),
     (np.float16, "float16"), (str, "str")],
)  # fmt: skip
def test_other_dtypes_are_refused(dtype, name):
    words = rf"float32 or float64, got {name}.*: convert it with \.astype\(np\.float64\)"
    with pytest.raises(TypeError, match=words):
        eigenpairs(np.eye(3).astype(dtype), 1)
    if dtype in (complex, np.longdouble):
        for operator in (sp.eye_array(3, dtype=dtype), aslinearoperator(np.eye(3).astype(dtype))):
            with pytest.raises(TypeError, match=words):
                eigenpairs(operator, 1)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.uint16, np.int64])
def test_integers_become_float64(dtype):
    matrix = np.array([[0, 1], [1, 0]]).astype(dtype)
    for given in (matrix, sp.csr_array(matrix)):
        operator = symmetric_operator(given)
        assert operator.dtype == torch.float64
        assert operator(torch.tensor([2.0, 5.0]).double()).tolist() == [5.0, 2.0]


def test_arrays_that_torch_does_not_take_as_they_are():
    fixed = MATRIX.copy()
    fixed.flags.writeable = False
    expected = torch.from_numpy(MATRIX) @ VECTOR
    changed = (MATRIX.astype(">f8"), MATRIX.astype("<f8"), np.asfortranarray(MATRIX))
    for given in (fixed, *changed):
        assert torch.equal(symmetric_operator(given)(VECTOR), expected)
    turned = symmetric_operator(MATRIX[::-1, ::-1])
    assert torch.equal(turned(VECTOR.flip(0)), expected.flip(0))


def test_no_dtype_no_operator():
    class Bare:
        shape = (2, 2)

        def __matmul__(self, v):
            return v

    with pytest.raises(TypeError, match="got Bare: pass a tensor"):
        symmetric_operator(Bare())
