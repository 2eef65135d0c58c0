import numpy as np
import pytest

from bundles import tiny_onnx
from conv_graph import conv_onnx
from firstread.errors import BundleError
from firstread.evaluate.randomise import randomised, weights_of


def initialisers(model: bytes) -> dict[str, np.ndarray]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(model).graph
    return {i.name: numpy_helper.to_array(i) for i in graph.initializer}


@pytest.mark.parametrize("raw", [True, False])
def test_the_walk_finds_what_the_onnx_package_finds(raw: bool) -> None:
    model = conv_onnx(raw=raw)
    truth = initialisers(model)
    found = weights_of(model)
    assert [w.shape for w in found] == [(4, 1, 8, 8), (4,), (1, 4)]
    for w, name in zip(found, ("kernel", "bias", "head"), strict=True):
        values = np.frombuffer(model[w.start : w.stop], w.dtype).reshape(w.shape)
        assert (values == truth[name]).all()


@pytest.mark.parametrize("raw", [True, False])
def test_all_weights_are_drawn_anew_and_nothing_else_changes(raw: bool) -> None:
    import onnx

    model = conv_onnx(raw=raw)
    other = randomised(model, np.random.default_rng(0))
    assert len(other) == len(model)
    onnx.checker.check_model(onnx.load_from_string(other))
    before, after = initialisers(model), initialisers(other)
    assert set(before) == set(after)
    for name, values in before.items():
        if name in {"kernel", "head"}:
            assert not np.isclose(values, after[name]).any()
        elif name == "bias":
            assert (after[name] == 0).all()
        else:
            assert (after[name] == values).all()
    assert after["kernel"].std() == pytest.approx(np.sqrt(2 / 64), rel=0.2)
    assert randomised(model, np.random.default_rng(0)) == other
    assert randomised(model, np.random.default_rng(1)) != other


def test_a_graph_without_weights_stays_as_it_is() -> None:
    model = tiny_onnx()
    assert weights_of(model) == []
    assert randomised(model, np.random.default_rng(0)) == model


def test_bytes_that_are_no_graph_are_refused() -> None:
    model = conv_onnx()
    for bad in (b"\xff" * 40, model[: len(model) // 2], b"\x3a\x05abc"):
        with pytest.raises(BundleError, match="no ONNX file"):
            weights_of(bad)


def test_weights_in_another_file_are_refused() -> None:
    import onnx

    model = onnx.load_from_string(conv_onnx())
    model.graph.initializer[1].data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(BundleError, match="another file"):
        weights_of(model.SerializeToString())


def test_the_shipped_graph_has_all_its_weights_found() -> None:
    from firstread.read.bundle import Bundle

    model = Bundle.load().onnx_path.read_bytes()
    expected = [v for v in initialisers(model).values() if v.dtype == np.float32]
    count = sum(int(np.prod(w.shape)) for w in weights_of(model))
    assert count > 0.99 * sum(v.size for v in expected)
